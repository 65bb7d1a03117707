"""Hopfield networks: patterns are the valleys of an energy, and recall goes down from a cue.

    X stored patterns (N, D)   xi states (M, D)   beta inverse temperature   F how overlaps X xi lower the energy

`hebb` is the classical network, `polynomial` dense associative memory, `softmax` the continuous modern network, whose update
is one read of attention. Code of the continuous one: github.com/ml-jku/hopfield-layers.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import rows, signs
from mnemos.neural.associative.temperature import read_temperature
from mnemos.registry import Paper, register

Energy = Literal["hebb", "polynomial", "softmax"]


@register(
    "hopfield",
    papers=(
        Paper("Hopfield Networks is All You Need", "2008.02217", "ml-jku/hopfield-layers"),
        Paper("Dense Associative Memory for Pattern Recognition", "1606.01164"),
    ),
    task="associative",
)
class Hopfield:
    """Keeps patterns as the valleys of an energy and completes cues by going down it, in one step or several.

    E(xi) = -F(X xi) + |xi|^2 / 2, and a step is xi <- dF/dxi (arXiv 2008.02217), of which binary networks take the sign:

    - hebb: F = xi W xi / 2 with W = X^T X / D without its diagonal; holds D x D numbers, however many patterns.
    - polynomial: F = sum_n max(x_n xi, 0)^degree (arXiv 1606.01164); holds the patterns.
    - softmax: F = log sum_n exp(beta x_n xi) / beta, so a step is X^T softmax(beta X xi); states are real numbers.

    With `empty` the sum has a further term exp(0), a slot that holds nothing (Softmax_1, arXiv 2404.03828).
    F is convex for `polynomial` and `softmax`, so no step raises the energy; for `hebb` the units have to be updated one by one
    (`settle`). A step costs O(M N D), with `hebb` O(M D^2).
    """

    def __init__(
        self,
        width: int,  # D, channels of a pattern
        energy: Energy = "softmax",  # which F
        beta: float
        | None = 1.0,  # of softmax: small averages all, large takes the nearest; None: by `read_temperature`
        degree: int = 3,  # of polynomial
        empty: bool = False,  # of softmax: whether a cue may recall nothing
        steps: int = 1,  # of a recall
    ) -> None:
        if energy not in get_args(Energy):
            raise InvalidInput(f"there is no energy {energy!r}: choose from {', '.join(get_args(Energy))}.")
        if width < 1 or steps < 1 or degree < 1 or (beta is not None and beta <= 0):
            raise InvalidInput(
                f"width is {width}, steps {steps}, degree {degree} and beta {beta}: give positive numbers."
            )
        self.width, self.energy_name, self.degree = width, energy, degree
        self.by_rule, self.beta = beta is None, 1.0 if beta is None else beta
        self.empty, self.steps, self.count = empty, steps, 0
        self.kept = torch.zeros(width, width) if energy == "hebb" else torch.zeros(0, width)  # W, or X

    def store(self, patterns: Tensor) -> None:
        """Keep patterns (N, D); those of hebb and polynomial are of -1 and 1. Raises InvalidInput for others.

        Without a beta the temperature is chosen again for all that is kept, O(256 N D); its rule takes patterns of like length.
        """
        new = rows(patterns, self.width, "patterns").to(torch.promote_types(patterns.dtype, torch.float32))
        if self.energy_name != "softmax":
            signs(new, "patterns")
        if self.energy_name == "hebb":
            self.kept = (self.kept + new.T @ new / self.width).fill_diagonal_(0.0)
        else:
            self.kept = torch.cat([self.kept.to(new.dtype), new])
        self.count += len(new)
        if self.by_rule and self.energy_name == "softmax" and self.count > 1:
            self.beta = read_temperature(self.kept)

    def recall(self, cues: Tensor) -> Tensor:
        """Return where `steps` steps lead from cues (M, D). Raises InvalidInput while nothing is stored."""
        states = self.begun(cues)
        for _ in range(self.steps):
            states = self.step(states)
        return states

    def step(self, states: Tensor) -> Tensor:
        """Return the states after one update of all units together."""
        if self.energy_name == "hebb":
            return _sign(states @ self.kept, states)
        overlaps = states @ self.kept.T
        if self.energy_name == "polynomial":
            return _sign((overlaps / self.width).clamp_min(0) ** (self.degree - 1) @ self.kept, states)
        if not self.empty:
            return (self.beta * overlaps).softmax(-1) @ self.kept
        return F.pad(self.beta * overlaps, (0, 1)).softmax(-1)[:, :-1] @ self.kept

    def settle(self, cues: Tensor, sweeps: int = 10) -> Tensor:
        """Return where updates of one unit after the other lead, which never raise the energy; hebb only."""
        if self.energy_name != "hebb":
            raise InvalidInput(f"energy is {self.energy_name!r}: its steps never raise the energy; call `recall`.")
        states = self.begun(cues).clone()
        for _ in range(sweeps):
            before = states.clone()
            for unit in range(self.width):
                states[:, unit] = _sign(states @ self.kept[:, unit], states[:, unit])
            if torch.equal(states, before):
                break
        return states

    def energy(self, states: Tensor) -> Tensor:
        """Return the energies (M) of states (M, D), up to a constant."""
        states = self.begun(states)
        length = states.square().sum(-1) / 2
        if self.energy_name == "hebb":
            return length - ((states @ self.kept) * states).sum(-1) / 2
        overlaps = states @ self.kept.T
        if self.energy_name == "polynomial":
            return length - (overlaps / self.width).clamp_min(0).pow(self.degree).sum(-1) * self.width
        scores = F.pad(self.beta * overlaps, (0, 1)) if self.empty else self.beta * overlaps
        return length - scores.logsumexp(-1) / self.beta

    def begun(self, cues: Tensor) -> Tensor:
        """Return cues in the precision of what is kept, checked."""
        if not self.count:
            raise InvalidInput("nothing is stored yet: call `store` first.")
        return rows(cues, self.width, "cues").to(self.kept.dtype)

    @property
    def nbytes(self) -> int:
        """Return the bytes that are held."""
        return int(self.kept.numel() * self.kept.element_size())


def _sign(field: Tensor, before: Tensor) -> Tensor:
    """Return the signs of a field; a unit without one stays as it was."""
    return torch.where(field == 0, before, field.sign())
