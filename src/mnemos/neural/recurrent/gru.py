"""GRU: a cell with one gate for both what it keeps and what it takes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import units
from mnemos.neural.recurrent.wrapped import Wrapped
from mnemos.registry import Paper, register


@register(
    "gru",
    papers=(
        Paper(
            "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", "1406.1078"
        ),
    ),
    task="recurrent",
    baselines=("tanh-rnn",),
)
class GRU(Wrapped):
    """Moves its state towards a candidate, as far as its update gate lets it (arXiv 1406.1078).

    h_t = z_t h_{t-1} + (1 - z_t) n_t, n_t = tanh(W x_t + b + r_t (U h_{t-1} + c)), with r and z sigmoids of x_t and h_{t-1}.
    The reset gate r stands behind the matrix U, as in torch and unlike in the paper. The bias of z starts at 1, so that a
    new cell remembers; U is orthogonal.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of the state; D if nothing is said
        keep_bias: float = 1.0,  # of the update gate at the start
    ) -> None:
        self.keep_bias = keep_bias
        super().__init__(width, units(width, hidden))

    def build(self) -> nn.RNNBase:
        """Return torch's GRU with the biases and weights said above."""
        cell = nn.GRU(self.width, self.hidden, batch_first=True)
        for block in cell.weight_hh_l0.data.chunk(3):
            nn.init.orthogonal_(block)
        for bias in (cell.bias_ih_l0, cell.bias_hh_l0):
            nn.init.zeros_(bias)
        cell.bias_ih_l0.data[self.hidden : 2 * self.hidden] = self.keep_bias
        return cell

    def gates(self, given: Tensor, back: Tensor, state: State) -> State:
        """Return the next h."""
        r, z, n = given.chunk(3, -1)
        r_back, z_back, n_back = back.chunk(3, -1)
        z = (z + z_back).sigmoid()
        n = torch.tanh(n + (r + r_back).sigmoid() * n_back)
        return {"h": z * state["h"] + (1 - z) * n}
