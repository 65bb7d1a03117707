"""Homeostatic reservoirs: each unit adapts its inhibition until it fires as often as it should."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.recurrent.reservoir import Reservoir, random
from mnemos.registry import Paper, register


@register(
    "homeostatic-reservoir",
    papers=(Paper("Boosting Reservoir Computing with Brain-inspired Adaptive Dynamics", "2504.12480"),),
    task="recurrent",
    baselines=("echo-state-network",),
)
class HomeostaticReservoir(Reservoir):
    """Separates excitation from inhibition, and lets each unit scale the inhibition it gets to its target rate (2504.12480).

    h_t = sigmoid(slope (E h_{t-1} - g I h_{t-1} + V x_t + b)), E and I not negative and sparse, b such that a unit without
    input is at one half or below. `adapt` reads a sequence and moves g_i by rate (h_i - target_i) at each token; targets are
    drawn around `target`, each unit its own. Then g stays as it is, and the readout is fitted. Costs T steps of O(N^2).
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        size: int = 64,  # N, units
        excitatory: float = 0.5,  # share of units that excite
        balance: float = 0.0,  # (excitation - inhibition) / (excitation + inhibition) before adaptation
        strength: float = 1.0,  # sum of the absolute weights that a unit gets, per square root of their number
        connected: float = 0.2,  # share of the pairs of units that are connected
        slope: float = 4.0,  # of the sigmoid
        scale: float = 1.0,  # of what a token gives
        target: float = 0.4,  # mean of the target rates
        spread: float = 0.1,  # standard deviation of the target rates over units
        seed: int = 0,  # of all that is drawn
    ) -> None:
        super().__init__(width, size)
        if not 0 < excitatory < 1 or not 0 < target < 1 or not -1 < balance < 1:
            raise InvalidInput(
                f"excitatory is {excitatory}, target {target}, balance {balance}: give shares between 0 and 1, and a balance "
                "between -1 and 1."
            )
        self.slope, rng = slope, torch.Generator().manual_seed(seed)
        weights = torch.rand(size, size, generator=rng) * (torch.rand(size, size, generator=rng) < connected)
        first = max(1, int(excitatory * size))
        plus, minus = weights[:, :first], weights[:, first:]
        total = strength * (connected * size) ** 0.5 / 2
        self.register_buffer("plus", plus * total * (1 + balance) / plus.sum(1, keepdim=True).clamp_min(1e-3))
        self.register_buffer("minus", minus * total * (1 - balance) / minus.sum(1, keepdim=True).clamp_min(1e-3))
        self.register_buffer("gain", torch.ones(size))
        self.register_buffer("enter", random((size, width), rng, scale))
        drawn = target + spread * torch.randn(size, generator=rng)
        self.register_buffer("target", drawn.clamp(0.05, 0.95))

    def init_state(self, batch: int) -> State:
        """Return all units at one half."""
        return {"h": self.zeros(batch, len(self.gain)) + 0.5}

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens give."""
        return x @ self.enter.T

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next rates of the units."""
        h = state["h"]
        back = torch.cat([self.plus, -self.gain[:, None] * self.minus], 1).to(h.dtype)
        return {"h": torch.sigmoid(self.slope * torch.addmm(drive, h, back.T))}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next rates as the paper writes them."""
        excite, inhibit = state["h"].split([self.plus.shape[1], self.minus.shape[1]], 1)
        heard = excite @ self.plus.T - self.gain * (inhibit @ self.minus.T) + x @ self.enter.T
        return {"h": 1 / (1 + torch.exp(-self.slope * heard))}

    def adapt(self, x: Tensor, rate: float = 0.01) -> None:
        """Move the inhibition of each unit while it reads tokens (B, T, D), until rates are near their targets."""
        if rate <= 0:
            raise InvalidInput(f"rate is {rate}: give more than 0.")
        with torch.no_grad():
            state = self.init_state(len(x))
            for drive in self.drive(x).unbind(1):
                state = self.advance(drive, state)
                self.gain.add_(rate * (state["h"].mean(0) - self.target).to(self.gain.dtype)).clamp_min_(0)
