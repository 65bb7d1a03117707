"""LEM: a cell of two variables with time scales of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import Cell, units
from mnemos.registry import Paper, register


@register(
    "lem",
    papers=(Paper("Long Expressive Memory for Sequence Modeling", "2110.04744", "tk-rusch/LEM"),),
    task="recurrent",
    baselines=("lstm",),
)
class LEM(Cell):
    """Follows two coupled differential equations whose time scales the input sets (arXiv 2110.04744).

    dt1, dt2 = dt sigmoid(W y + V u + b); z = (1 - dt1) z + dt1 tanh(Wz y + Vz u + bz);
    y = (1 - dt2) y + dt2 tanh(Wy z + Vy u + by). For small dt neither z nor y moves much in a step, so gradients reach far
    back. As many weights as an LSTM.
    """

    reads = "y"

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of each variable; D if nothing is said
        dt: float = 1.0,  # the largest step of a token
    ) -> None:
        super().__init__(width, units(width, hidden))
        self.dt = dt
        self.enter = nn.Linear(width, 4 * self.hidden)  # V and b of dt1, dt2, z and y
        self.slow = nn.Linear(self.hidden, 3 * self.hidden, bias=False)  # W1, W2, Wz
        self.fast = nn.Linear(self.hidden, self.hidden, bias=False)  # Wy

    def init_state(self, batch: int) -> State:
        """Return zeros."""
        return {name: self.zeros(batch, self.hidden) for name in ("y", "z")}

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens add in the four places."""
        given: Tensor = self.enter(x)
        return given

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next y and z."""
        y, z = state["y"], state["z"]
        first, last = drive.split([3 * self.hidden, self.hidden], -1)
        one, two, new = (first + y @ self.slow.weight.T.to(y.dtype)).chunk(3, -1)
        z = torch.lerp(z, new.tanh(), self.dt * one.sigmoid())
        y = torch.lerp(y, (last + z @ self.fast.weight.T.to(y.dtype)).tanh(), self.dt * two.sigmoid())
        return {"y": y, "z": z}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next y and z as the paper writes them."""
        y, z = state["y"], state["z"]
        v1, v2, vz, vy = self.enter(x).chunk(4, -1)
        w1, w2, wz = self.slow(y).chunk(3, -1)
        dt1, dt2 = self.dt * torch.sigmoid(w1 + v1), self.dt * torch.sigmoid(w2 + v2)
        z = (1 - dt1) * z + dt1 * torch.tanh(wz + vz)
        return {"y": (1 - dt2) * y + dt2 * torch.tanh(self.fast(z) + vy), "z": z}
