"""Leaky RNN: units whose time constants are learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import Cell, units
from mnemos.registry import Paper, register


@register(
    "leaky-rnn",
    papers=(
        Paper(
            "Emergent mechanisms for long timescales depend on training curriculum and affect performance in memory tasks",
            "2309.12927",
        ),
    ),
    task="recurrent",
    baselines=("tanh-rnn",),
)
class LeakyRNN(Cell):
    """Lets each unit keep a share of its own last value, set by a time constant that is trained (arXiv 2309.12927).

    h_t = phi((1 - 1/tau) h_{t-1} + (1/tau) (W x_t + U h_{t-1} + b)), phi a leaky ReLU, tau = 1 + softplus of a weight. Long
    memory may come of long tau, or of U: which of the two depends on the curriculum.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of the state; D if nothing is said
        tau: float = 1.5,  # time constant of all units before training, in tokens, more than 1
        slope: float = 0.1,  # of phi for negative values
    ) -> None:
        super().__init__(width, units(width, hidden))
        self.slope = slope
        self.enter = nn.Linear(width, self.hidden)
        self.back = nn.Linear(self.hidden, self.hidden, bias=False)
        self.slow = nn.Parameter(torch.full((self.hidden,), tau - 1.0).expm1().log())

    @property
    def tau(self) -> Tensor:
        """Return the time constants (H), in tokens."""
        return 1 + F.softplus(self.slow)

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens add."""
        given: Tensor = self.enter(x)
        return given

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next h."""
        h = state["h"]
        new = torch.addmm(drive, h, self.back.weight.T.to(h.dtype))
        return {"h": F.leaky_relu(torch.lerp(h, new, (1 / self.tau).to(h.dtype)), self.slope)}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next h as the paper writes it."""
        h, tau = state["h"], self.tau
        h = (1 - 1 / tau) * h + (self.enter(x) + self.back(h)) / tau
        return {"h": torch.where(h > 0, h, self.slope * h)}
