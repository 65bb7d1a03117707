"""Causal relation: a perceptron looks at every pair of tokens, and the answers are summed."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.linear.running import EMPTY
from mnemos.registry import Paper, register

CHUNK = 64  # tokens whose pairs are looked at together


@register(
    "causal-relation",
    papers=(
        Paper(
            "An All-MLP Sequence Modeling Architecture That Excels at Copying",
            "2406.16168",
            "FrankCuiCN/causal-relation-networks",
        ),
    ),
    task="linear-layers",
    baselines=("attention",),
)
class CausalRelation(Mixer):
    """Sums the exponential of a normed sum of each token and an earlier one (arXiv 2406.16168, CausalRN).

    y_j = W_o norm(sum_{i <= j} exp(norm(W_k x_i + W_q x_j))). The norm inside ties the two, so that every token has to be
    kept, as in attention: mode "growing", O(T^2 D). Without it the sum is exp(W_q x_j) sum_i exp(W_k x_i), one vector: mode
    "linear", O(T D).
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        mode: Literal["growing", "linear"] = "growing",  # with the norm inside, or without
        activation: Literal["exp", "relu"] = "exp",  # of the pairs; relu, with "growing" only, is the paper's ablation
        inner: int | None = None,  # R, channels of a pair; the width if nothing is said
    ) -> None:
        super().__init__(width)
        if mode not in ("growing", "linear") or activation not in ("exp", "relu"):
            raise InvalidInput(
                f"mode is {mode!r}, activation {activation!r}: give 'growing' or 'linear', 'exp' or 'relu'."
            )
        if mode == "linear" and activation == "relu":
            raise InvalidInput("mode is 'linear' with 'relu', which does not split: use 'exp', or mode='growing'.")
        self.mode, self.activation, self.inner = mode, activation, inner or width
        self.to_k, self.to_q = (nn.Linear(width, self.inner, bias=False) for _ in range(2))
        self.inside, self.outside = nn.LayerNorm(self.inner), nn.LayerNorm(self.inner)
        self.out = nn.Linear(self.inner, width, bias=False)

    def init_state(self, batch: int) -> State:
        """Return no tokens, or the logarithm of an empty sum."""
        if self.mode == "linear":
            return {"z": self.zeros(batch, self.inner) + EMPTY}
        none = self.zeros(batch, 0, self.inner)
        return {"keys": none, "held": none[..., 0].bool()}

    def state_size(self, length: int = 0) -> int:
        """Return R, or R and a flag for each token."""
        return self.inner if self.mode == "linear" else length * (self.inner + 1)

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Sum over all pairs, a block of tokens at once; or by a running sum."""
        real = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
        if self.mode == "linear":
            k = self.to_k(x).to(state["z"].dtype).masked_fill(~real[..., None], EMPTY)
            z = torch.logaddexp(state["z"][:, None], k.logcumsumexp(1))
            return self.answer(self.rescaled(z + self.to_q(x)), x), {"z": z[:, -1]}
        keys, held, q = self.grown(x, real, state)
        old, T, sums = state["keys"].shape[1], x.shape[1], []
        for first in range(0, T, CHUNK):
            last = min(first + CHUNK, T)
            seen = torch.ones(last - first, old + last, dtype=torch.bool, device=x.device).tril(old + first)
            pairs = self.pairs(q[:, first:last], keys[:, : old + last])
            sums.append((pairs * (seen & held[:, None, : old + last])[..., None]).sum(2))
        order = held.to(torch.uint8).argsort(dim=1, stable=True)[:, -int(held.sum(1).max()) :]  # padding first
        kept = keys.gather(1, order[..., None].expand(-1, -1, self.inner))
        return self.answer(torch.cat(sums, 1), x), {"keys": kept, "held": held.gather(1, order)}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Sum over all pairs of every token."""
        out = []
        for token in x.split(1, 1):
            if self.mode == "linear":
                z = torch.logaddexp(state["z"], self.to_k(token[:, 0]).to(state["z"].dtype))
                state = {"z": z}
                out.append(self.answer(self.rescaled(z[:, None] + self.to_q(token)), token))
                continue
            keys, held, q = self.grown(token, torch.ones_like(token[..., 0], dtype=torch.bool), state)
            state = {"keys": keys, "held": held}
            out.append(self.answer((self.pairs(q, keys) * held[:, None, :, None]).sum(2), token))
        return torch.cat(out, 1), state

    def grown(self, x: Tensor, real: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Return the keys of all tokens so far, which of them are tokens, and the queries of the new ones."""
        like = state["keys"]
        return torch.cat([like, self.to_k(x).to(like.dtype)], 1), torch.cat([state["held"], real], 1), self.to_q(x)

    def pairs(self, q: Tensor, keys: Tensor) -> Tensor:
        """Return what the perceptron says of all pairs, (B, T, L, R)."""
        both = self.inside(q[:, :, None] + keys[:, None].to(q.dtype))
        return both.exp() if self.activation == "exp" else F.relu(both)

    @staticmethod
    def rescaled(z: Tensor) -> Tensor:
        """Return exp(z), each token by a factor of its own, which the norm outside takes away again."""
        return (z - z.amax(-1, keepdim=True)).exp()

    def answer(self, sums: Tensor, x: Tensor) -> Tensor:
        """Return (B, T, D)."""
        return self.out(self.outside(sums.to(x.dtype)))
