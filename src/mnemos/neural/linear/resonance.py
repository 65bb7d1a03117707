"""Synaptic resonance: attention whose queries are bent by what the text has associated so far."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.linear import rules
from mnemos.neural.linear.attention import Attention
from mnemos.registry import Paper, register


@register(
    "synaptic-resonance",
    papers=(
        Paper(
            "Exploring Synaptic Resonance in Large Language Models: A Novel Approach to Contextual Memory Integration",
            "2502.10699",
        ),
    ),
    task="linear-layers",
    baselines=("attention",),
)
class SynapticResonance(Attention):
    """Biases the scores of attention by a plastic matrix a head (an approximation of arXiv 2502.10699).

    W_t = (1 - decay) W_{t-1} + eta r_t q_t k_t', score = (q_t . k_i + q_t' W_t k_i) / sqrt(C), r_t = sigmoid(8 cos(q_t, k_t)
    - 8 threshold). The paper has no formula that could be followed to the letter and no code; this is the simplest layer
    that does what its text says. As q_t' W_t is a read of linear attention, the fast form bends all queries first, then
    attends.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # that read beside each other
        window: int | None = None,  # tokens that are seen, this one among them; None: all
        eta: float = 0.1,  # how fast the matrix learns, at the beginning; learned
        decay: float = 0.05,  # what it loses at a token
        threshold: float = 0.0,  # the similarity from which a token counts as relevant
    ) -> None:
        super().__init__(width, heads, window)
        self.eta, self.lost, self.threshold = nn.Parameter(torch.full((heads,), eta)), decay, threshold

    def init_state(self, batch: int) -> State:
        """Return no tokens and an empty matrix a head."""
        size = self.width // self.heads
        return super().init_state(batch) | {"plastic": self.zeros(batch, self.heads, size, size)}

    def state_size(self, length: int = 0) -> int:
        """Return what attention holds, and the matrices."""
        return super().state_size(length) + self.width**2 // self.heads

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Bend the queries and attend."""
        q, k, v = self.to_qkv(x).chunk(3, -1)
        q, W = self.bent(q, k, state["plastic"], mask, rules.additive)
        y, after = self.attend(q, k, v, state, mask)
        return y, after | {"plastic": W}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Do the same token by token."""
        q, k, v = self.to_qkv(x).chunk(3, -1)
        q, W = self.bent(q, k, state["plastic"], None, rules.additive_naive)
        y, after = self.attend_naive(q, k, v, state)
        return y, after | {"plastic": W}

    def bent(self, q: Tensor, k: Tensor, W: Tensor, mask: Tensor | None, rule: rules.Additive) -> tuple[Tensor, Tensor]:
        """Return q + W' q for all tokens, and the matrices after the last one."""
        asked, keys = self.split(q), self.split(k)
        relevant = (8 * (F.cosine_similarity(asked, keys, dim=-1) - self.threshold)).sigmoid()[..., None]
        a, b = F.normalize(asked, dim=-1), F.normalize(keys, dim=-1) * relevant * self.eta[:, None, None]
        decay = torch.full_like(relevant, self.lost).neg().log1p()
        if mask is not None:
            real = mask[:, None, :, None]
            b, decay = b * real, decay * real
        read, W = rule(a.to(W.dtype), a.to(W.dtype), b.to(W.dtype), decay.to(W.dtype), W)
        length = asked.norm(dim=-1, keepdim=True)  # the bias scales with the query
        return (asked + length * read.to(q.dtype)).transpose(1, 2).flatten(2), W
