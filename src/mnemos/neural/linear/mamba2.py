"""Mamba-2: a sum of keys times values that fades by one factor a token."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.linear.matrix import MatrixMemory, Parts
from mnemos.registry import Paper, register


@register(
    "mamba-2",
    papers=(
        Paper(
            "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality",
            "2405.21060",
            "state-spaces/mamba",
        ),
    ),
    task="mqar",
    baselines=("linear-attention",),
)
class Mamba2(MatrixMemory):
    """Lets the whole memory fade by one factor that each token chooses, and writes by the same choice (arXiv 2405.21060).

    S_t = a_t S_{t-1} + dt_t k_t v_t', y_t = S_t' q_t + D v_t, dt = softplus(W x_t + b), log a = -A dt, A > 0 a head. The
    paper's B, C, x are k, q, v here, each after SiLU. Departures: no convolution inside (a model has one before each mixer),
    and the gate of all layers of this room.
    """

    def build(self) -> None:
        """Make the projection to the time step, a rate and a weight of what bypasses the memory for each head."""
        self.to_step = nn.Linear(self.width, self.heads)
        self.log_rate = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
        self.bypass = nn.Parameter(torch.ones(self.heads))
        with torch.no_grad():  # softplus(bias) is a time step between .001 and .1
            step = torch.empty(self.heads).uniform_(-6.9, -2.3).exp()
            self.to_step.bias.copy_(step + (-torch.expm1(-step)).log())

    def features(self, x: Tensor) -> Tensor:
        """Return SiLU."""
        return F.silu(x)

    def decay(self, x: Tensor) -> Tensor:
        """Return minus the rate times the time step."""
        return -self.log_rate.exp()[:, None, None] * self.time(x)

    def time(self, x: Tensor) -> Tensor:
        """Return the time step, (B, H, T, 1)."""
        return F.softplus(self.split(self.to_step(x)))

    def parts(self, x: Tensor, state: State, mask: Tensor | None) -> Parts:
        """Write by the time step."""
        parts = super().parts(x, state, mask)
        return replace(parts, k=parts.k * self.time(x).to(parts.k.dtype), v=F.silu(parts.v))

    def answer(self, read: Tensor, x: Tensor) -> Tensor:
        """Add what bypasses the memory."""
        v = F.silu(self.split(self.to_v(x))).to(read.dtype)
        return super().answer(read + self.bypass[:, None, None] * v, x)
