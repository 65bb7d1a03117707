"""RWKV-7: a delta rule whose channels fade and learn at rates of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.neural.linear.transition import transition, transition_naive
from mnemos.registry import Paper, register


@register(
    "rwkv-7",
    papers=(Paper('RWKV-7 "Goose" with Expressive Dynamic State Evolution', "2503.14456", "BlinkDL/RWKV-LM"),),
    task="mqar",
    baselines=("linear-attention", "delta-net"),
)
class RWKV7(MatrixMemory):
    """Takes away what one key held and writes to another, at rates that each channel chooses (arXiv 2503.14456).

    S_t = S_{t-1} (diag(w_t) - kappa_t' (a_t * kappa_t)) + v_t' k~_t in the paper's rows, w = exp(-exp(-.5) sigmoid(.)), kappa the
    normed removal key, a = sigmoid(.) the rate in context, k~ = k (1 + (a - 1) alpha); y_t = S_t r_t + (r_t . (rho * k~_t)) v_t.
    Departures: a short convolution before the mixer in the place of the token shift, no mixing of the first layer's
    values, and the gate of this room.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; 16 if nothing is said
        rank: int = 16,  # of the projections to the factors and the rates
    ) -> None:
        super().__init__(width, heads, key, value, chunk)
        size = heads * self.key
        self.to_decay, self.to_rate = (
            nn.Sequential(nn.Linear(width, rank, bias=False), nn.Tanh(), nn.Linear(rank, size)) for _ in range(2)
        )
        with torch.no_grad():
            self.to_decay[2].bias.copy_(torch.linspace(-6, -1, size))  # some channels hardly fade
        self.removal, self.mixed, self.bonus = (nn.Parameter(torch.full((size,), x)) for x in (0.85, 1.0, 0.0))

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Read and write chunk by chunk."""
        q, k, v, decay, a, b, extra = self.said(x, state, mask)
        read, S = transition(q, k, v, decay, a, b, state["memory"], self.chunk)
        return self.answer(read + extra, x), {"memory": S}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read and write token by token."""
        q, k, v, decay, a, b, extra = self.said(x, state, None)
        read, S = transition_naive(q, k, v, decay, a, b, state["memory"])
        return self.answer(read + extra, x), {"memory": S}

    def said(self, x: Tensor, state: State, mask: Tensor | None) -> list[Tensor]:
        """Return q, k, v, decay, a, b of `transition` and what is read beside the memory."""
        r, k, v = (self.split(to(x)) for to in (self.to_q, self.to_k, self.to_v))
        decay, rate = -math.exp(-0.5) * self.split(self.to_decay(x)).sigmoid(), self.split(self.to_rate(x)).sigmoid()
        removal, mixed, bonus = (p.view(self.heads, 1, self.key) for p in (self.removal, self.mixed, self.bonus))
        kappa = F.normalize(k * removal, dim=-1)
        k = k * (1 + (rate - 1) * mixed)
        extra = (r * k * bonus).sum(-1, keepdim=True) * v
        a, b = -kappa, kappa * rate
        if mask is not None:
            real = mask[:, None, :, None]
            k, b, decay = k * real, b * real, decay.masked_fill(~real, 0.0)
        return [part.to(state["memory"].dtype) for part in (r, k, v, decay, a, b, extra)]
