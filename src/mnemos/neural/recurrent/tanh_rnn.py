"""The plain recurrent network: what every gated cell is compared with."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import units
from mnemos.neural.recurrent.wrapped import Wrapped
from mnemos.registry import Paper, register


@register(
    "tanh-rnn",
    papers=(
        Paper("Finding Structure in Time"),
        Paper("A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", "1504.00941"),
    ),
    task="recurrent",
)
class TanhRNN(Wrapped):
    """Takes the tanh of a linear map of token and state (Elman, 1990): its gradient vanishes with the lag.

    h_t = tanh(W x_t + U h_{t-1} + b). With `start="identity"` it is the IRNN (arXiv 1504.00941): U starts as the identity,
    and ReLU stands in the place of tanh.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of the state; D if nothing is said
        start: Literal["random", "identity"] = "random",  # U before training: torch's random one, or the identity
    ) -> None:
        self.start = start
        super().__init__(width, units(width, hidden))

    def build(self) -> nn.RNNBase:
        """Return torch's RNN."""
        relu = self.start == "identity"
        cell = nn.RNN(self.width, self.hidden, batch_first=True, nonlinearity="relu" if relu else "tanh")
        if relu:
            nn.init.eye_(cell.weight_hh_l0)
            nn.init.zeros_(cell.bias_ih_l0)
            nn.init.zeros_(cell.bias_hh_l0)
        return cell

    def gates(self, given: Tensor, back: Tensor, state: State) -> State:
        """Return the next h."""
        h = given + back
        return {"h": torch.relu(h) if self.start == "identity" else torch.tanh(h)}
