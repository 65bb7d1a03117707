"""Attention as an RNN: a learned query attends to all tokens so far, in constant memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.linear.running import EMPTY, joined, running, running_naive
from mnemos.registry import Paper, register


@register(
    "attention-as-an-rnn",
    papers=(Paper("Attention as an RNN", "2405.13956"),),
    task="linear-layers",
    baselines=("attention",),
)
class AttentionRNN(Mixer):
    """Reads all tokens so far by softmax with a query that does not depend on them (arXiv 2405.13956, Aaren).

    y_t = sum_{i <= t} exp(s_i) v_i / sum_{i <= t} exp(s_i), s_i = q . k_i, q learned. The paper's (a, c, m) is held here as the
    mean a / c and the logarithm log c + m. States can be merged, which is why all prefixes are found in parallel.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 4,  # H, queries
        chunk: int | None = None,  # C, tokens that are computed together; 64 if nothing is said
    ) -> None:
        super().__init__(width)
        if heads < 1 or width % heads:
            raise InvalidInput(f"heads is {heads}: give a divisor of the width, {width}.")
        self.heads, self.chunk = heads, chunk or 64
        self.query = nn.Parameter(torch.randn(heads, width // heads))
        self.to_kv, self.out = nn.Linear(width, 2 * width, bias=False), nn.Linear(width, width, bias=False)

    def init_state(self, batch: int) -> State:
        """Return means of nothing, (B, H, 1, V)."""
        heads = self.heads
        return {"mean": self.zeros(batch, heads, 1, self.width // heads), "z": self.zeros(batch, heads, 1) + EMPTY}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Average chunk by chunk."""
        y, S, z = running(*self.said(x, state, mask), state["mean"], state["z"], self.chunk)
        return self.out(y.transpose(1, 2).flatten(2).to(x.dtype)), {"mean": S, "z": z}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Average token by token."""
        y, S, z = running_naive(*self.said(x, state, None), state["mean"], state["z"])
        return self.out(y.transpose(1, 2).flatten(2).to(x.dtype)), {"mean": S, "z": z}

    def said(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return ones, scores (B, H, T, 1) and values; padding weighs nothing."""
        k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.to_kv(x).chunk(2, -1))
        score = (k * self.query[:, None]).sum(-1, keepdim=True).to(state["z"].dtype) * k.shape[-1] ** -0.5
        if mask is not None:
            score = score.masked_fill(~mask[:, None, :, None], EMPTY)
        return torch.ones_like(score), score, v.to(state["z"].dtype)

    def merge(self, earlier: State, later: State) -> State:
        """Return the averages over both texts."""
        S, z = joined(earlier["mean"], earlier["z"], later["mean"], later["z"])
        return {"mean": S, "z": z}
