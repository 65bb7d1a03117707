"""Mixture of memories: a router writes each token to a few of several matrices, and to one that all tokens share."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.linear import rules
from mnemos.neural.linear.gated_delta_net import GatedDeltaNet
from mnemos.registry import Paper, register


@register(
    "mixture-of-memories",
    papers=(Paper("MoM: Linear Sequence Modeling with Mixture-of-Memories", "2502.13685", "OpenSparseLLMs/MoM"),),
    task="linear-layers",
    baselines=("gated-delta-net", "gated-linear-attention"),
)
class MixtureOfMemories(GatedDeltaNet):
    """Routes a token to the best `top` of M memories, which it alone changes, and to a shared one (arXiv 2502.13685).

    g = softmax(W x) over its best, M^m <- a M^m + write(k^m, v^m) for the chosen m, y = (sum_m g_m M^m + shared)' q. Every memory
    has its own projections to keys and values. While training, the gradient of the load-balancing loss, M sum_m f_m p_m (f the
    share of tokens that m gets, p its mean score), is added with the weight `balance`. All memories are computed in one
    batch, a token of others as padding: the cost is that of M + 1 heads.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        memories: int = 4,  # M, that tokens are routed to
        top: int = 2,  # of them that a token is written to and read from
        key: int | None = None,  # K, channels of a key; half the width if nothing is said
        value: int | None = None,  # V, channels of a value; half the width if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; 64 if nothing is said
        update: Literal["delta", "additive"] = "delta",  # the rule of each memory, gated
        shared: bool = True,  # whether there is a memory that sees every token
        balance: float = 0.01,  # weight of the load-balancing loss
    ) -> None:
        if not 1 <= top <= memories:
            raise InvalidInput(f"top is {top}: give 1 to {memories}, the number of memories.")
        if update not in ("delta", "additive"):
            raise InvalidInput(f"update is {update!r}: give 'delta' or 'additive'.")
        self.memories, self.top, self.update, self.shared, self.balance = memories, top, update, shared, balance
        super().__init__(width, 1, key or max(width // 2, 1), value or max(width // 2, 1), chunk)

    def build(self) -> None:
        """Make the router, and projections of all memories."""
        super().build()
        of = self.memories + self.shared
        self.router = nn.Linear(self.width, self.memories, bias=False)
        self.to_k, self.to_v = (nn.Linear(self.width, of * n, bias=False) for n in (self.key, self.value))
        self.to_beta, self.to_decay = nn.Linear(self.width, of), nn.Linear(self.width, of)
        with torch.no_grad():
            self.to_decay.bias.uniform_(-6.9, -2.3)
        self.log_rate = nn.Parameter(torch.empty(of).uniform_(1, 16).log())

    def init_state(self, batch: int) -> State:
        """Return empty memories, (B, M, K, V), the shared one last."""
        return {"memory": self.zeros(batch, self.memories + self.shared, self.key, self.value)}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Read and write all memories chunk by chunk."""
        run = rules.delta if self.update == "delta" else rules.additive
        return self.through(x, state, mask, run, (self.chunk,))

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read and write all memories token by token."""
        return self.through(x, state, None, rules.delta_naive if self.update == "delta" else rules.additive_naive, ())

    def through(
        self, x: Tensor, state: State, mask: Tensor | None, run: Any, options: tuple[int | None, ...]
    ) -> tuple[Tensor, State]:
        """Write the chosen memories by a rule, and read them by their scores."""
        S, (scores, chosen) = state["memory"], self.routed(x)
        x = _Balanced.apply(x, self.load_loss(scores, chosen, mask) * self.balance) if self.training else x
        k, v, beta, decay = (self.by_memory(t) for t in (self.to_k(x), self.to_v(x), self.to_beta(x), self.to_decay(x)))
        q = self.features(self.to_q(x))[:, None].expand(-1, k.shape[1], -1, -1)
        decay = -self.log_rate.exp()[:, None, None] * F.softplus(decay)
        weights = (scores * chosen) / (scores * chosen).sum(-1, keepdim=True)
        chosen, weights = (F.pad(t, (0, int(self.shared)), value=1.0) for t in (chosen, weights))
        real = (chosen if mask is None else chosen * mask[..., None]).transpose(1, 2)[..., None]  # (B, M, T, 1)
        k, beta, decay = self.features(k) * real, beta.sigmoid() * real, decay * real
        q, k, v, beta, decay = (t.to(S.dtype) for t in (q, k, v, beta, decay))
        read, S = run(q, k, v, decay, beta, S, *options) if self.update == "delta" else run(q, k, v, decay, S, *options)
        read = (read * weights.transpose(1, 2)[..., None].to(read.dtype)).sum(1, keepdim=True)
        return self.answer(read, x), {"memory": S}

    def by_memory(self, x: Tensor) -> Tensor:
        """Return (B, M, T, channels)."""
        return x.unflatten(2, (self.memories + self.shared, -1)).transpose(1, 2)

    def routed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores of all memories (B, T, M), and 1 for those that a token goes to."""
        scores = self.router(x).softmax(-1)
        best = scores.topk(self.top, -1).indices
        return scores, torch.zeros_like(scores).scatter(-1, best, 1.0)

    def load_loss(self, scores: Tensor, chosen: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return M sum_m f_m p_m: 1 where the load is even, and more where it is not."""
        real = torch.ones_like(scores[..., :1]) if mask is None else mask[..., None].to(scores.dtype)
        count = real.sum().clamp_min(1)
        share, mean = (chosen * real).sum((0, 1)) / (count * self.top), (scores * real).sum((0, 1)) / count
        return self.memories * (share * mean).sum()


class _Balanced(torch.autograd.Function):  # type: ignore[misc]
    """Passes x on, and adds the gradient of a loss to whatever is trained."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, loss: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        return gradients[0], torch.ones((), dtype=gradients[0].dtype, device=gradients[0].device)
