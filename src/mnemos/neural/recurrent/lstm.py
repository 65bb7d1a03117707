"""LSTM: a cell that gates what it forgets, takes in and shows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import units
from mnemos.neural.recurrent.wrapped import Wrapped
from mnemos.registry import Paper, register


@register(
    "lstm",
    papers=(
        Paper("Long Short-Term Memory"),
        Paper("A Critical Review of Recurrent Neural Networks for Sequence Learning", "1506.00019"),
    ),
    task="recurrent",
    baselines=("tanh-rnn",),
)
class LSTM(Wrapped):
    """Keeps what its forget gate leaves and adds what its input gate lets in (Hochreiter and Schmidhuber, 1997).

    c_t = f_t c_{t-1} + i_t g_t, h_t = o_t tanh(c_t), with i, f, o = sigmoid and g = tanh of W x_t + U h_{t-1} + b. The bias
    of the forget gate starts at 1, so that a new cell remembers (practice of arXiv 1506.00019's survey); U is orthogonal.
    """

    states = ("h", "c")

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of the state; D if nothing is said
        forget_bias: float = 1.0,  # of the forget gate at the start
    ) -> None:
        self.forget_bias = forget_bias
        super().__init__(width, units(width, hidden))

    def build(self) -> nn.RNNBase:
        """Return torch's LSTM with the biases and weights said above."""
        cell = nn.LSTM(self.width, self.hidden, batch_first=True)
        for block in cell.weight_hh_l0.data.chunk(4):
            nn.init.orthogonal_(block)
        for bias in (cell.bias_ih_l0, cell.bias_hh_l0):
            nn.init.zeros_(bias)
        cell.bias_ih_l0.data[self.hidden : 2 * self.hidden] = self.forget_bias
        return cell

    def gates(self, given: Tensor, back: Tensor, state: State) -> State:
        """Return the next h and c."""
        i, f, g, o = (given + back).chunk(4, -1)
        c = f.sigmoid() * state["c"] + i.sigmoid() * g.tanh()
        return {"h": o.sigmoid() * torch.tanh(c), "c": c}
