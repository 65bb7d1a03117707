"""Sparsey: a coding field of winner-take-all modules that gives similar inputs overlapping codes, in one trial.

Q modules of K units   D binary inputs   u how well an input fits a unit   G how familiar it is
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import rows
from mnemos.registry import Paper, register


@register(
    "sparsey",
    papers=(Paper("Superposed Episodic and Semantic Memory via Sparse Distributed Representation", "1710.07829"),),
    task="associative",
    baselines=("hopfield",),
)
class Sparsey:
    """Stores a binary pattern at once as one unit in each of Q modules, with more units in common the more alike inputs are.

    u = (active inputs with a synapse to the unit) / (active inputs); G = mean over modules of max u. A unit's chance in its
    module is proportional to 1 + (steepness^(G^power) - 1) / (1 + exp(-slope (u - 0.9 G))): with G near 1 the best unit wins,
    so an old code comes back; with G near 0 the draw is even and the code is new (arXiv 1710.07829). Storing sets binary
    synapses once.
    Recall takes the best units and returns the inputs that most of them know. A look-up costs O(D Q K), whatever is stored.
    Departure: this closed form for the paper's piecewise table of how steepness grows with G; a smaller power gives codes
    that follow similarity more closely and a smaller capacity.
    """

    def __init__(
        self,
        width: int,  # D
        modules: int = 24,  # Q
        units: int = 8,  # K, of each module
        slope: float = 15.0,  # of the sigmoid of u
        steepness: float = 1e4,  # of the best unit against one that fits nothing, at G = 1
        power: float = 8.0,  # of G in the steepness
        familiar: bool = True,  # whether G is heeded; without it every code is drawn evenly (the control)
        seed: int = 0,  # of the draws
    ) -> None:
        if width < 1 or modules < 1 or units < 2:
            raise InvalidInput(f"width is {width}, modules {modules}, units {units}: give at least 1, 1 and 2.")
        self.width, self.modules, self.units, self.slope = width, modules, units, slope
        self.steepness, self.power, self.familiar = steepness, power, familiar
        self.synapses = torch.zeros(modules * units, width, dtype=torch.bool)
        self.generator = torch.Generator().manual_seed(seed)

    def fit(self, inputs: Tensor) -> Tensor:
        """Return u, (M, Q, K), of inputs (M, D)."""
        x = (rows(inputs, self.width, "inputs") > 0).float()
        u = x @ self.synapses.float().T / x.sum(-1, keepdim=True).clamp_min(1)
        return u.view(len(x), self.modules, self.units)

    def code(self, inputs: Tensor) -> Tensor:
        """Return codes (M, Q), the winner of each module, for inputs that are to be stored; draws."""
        u = self.fit(inputs)
        chances = torch.ones_like(u)
        if self.familiar:
            G = u.amax(-1).mean(-1)[:, None, None]
            sharp = (self.steepness ** (G**self.power) - 1) / torch.sigmoid(torch.tensor(self.slope / 2))
            chances = 1 + sharp * torch.sigmoid(self.slope * (u - G.clamp_min(0.1) * 0.9))
        return chances.flatten(0, 1).multinomial(1, generator=self.generator).view(len(u), self.modules)

    def store(self, patterns: Tensor) -> None:
        """Store patterns (N, D), active where above 0, one after the other."""
        self.learn(patterns)

    def learn(self, patterns: Tensor) -> Tensor:
        """Store patterns and return their codes, (N, Q)."""
        codes = []
        for pattern in rows(patterns, self.width, "patterns").split(1):
            code = self.code(pattern)
            winners = code[0] + torch.arange(self.modules) * self.units
            self.synapses[winners] |= pattern > 0
            codes.append(code)
        return torch.cat(codes) if codes else torch.zeros(0, self.modules, dtype=torch.long)

    def recall(self, cues: Tensor) -> Tensor:
        """Return the inputs (M, D), 0 or 1, that the best units of all modules agree on; as many as the code's units share."""
        winners = self.fit(cues).argmax(-1) + torch.arange(self.modules) * self.units  # (M, Q)
        agree = self.synapses[winners].float().mean(1)  # (M, D) share of the code's units that know each input
        return (agree >= agree.amax(-1, keepdim=True) - 1e-6).to(cues.dtype)

    @property
    def bits(self) -> int:
        """Return the bits of the synapses one way."""
        return int(self.synapses.numel())
