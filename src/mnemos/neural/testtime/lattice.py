"""Lattice: memory slots, each of which is told only what it does not say already."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.registry import Paper, register


@register(
    "lattice",
    papers=(Paper("Lattice: Learning to Efficiently Compress the Memory", "2504.05646"),),
    task="testtime",
    baselines=("linear-attention", "gated-linear-attention", "delta-net"),
)
class Lattice(MatrixMemory):
    """Updates each slot by what is orthogonal to it, a gradient step on |v - S^' k|^2 / 2 with normed slots (arXiv 2504.05646).

    s_i <- (1 - alpha_t) s_i + theta_t (k_i / |s_i|) (I - s^_i s^_i') (v - S^' k), s^ = s / |s|, y = S^' q; K slots of V channels.
    The update depends on what is there in every direction, so the fast form is a loop over tokens, lean as all is projected
    before it; the paper's chunked form, which approximates it, is not here. Forgetting shrinks a slot, which makes it
    learn faster. Slots begin at learned vectors of length 1.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, slots of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        forget: bool = True,  # whether slots shrink as the token says
    ) -> None:
        self.forget = forget
        super().__init__(width, heads, key, value)

    def build(self) -> None:
        """Make the gates, and the slots at the beginning."""
        self.to_gates = nn.Linear(self.width, 2 * self.heads)
        self.begin = nn.Parameter(torch.randn(self.heads, self.key, self.value))
        with torch.no_grad():
            self.to_gates.bias.copy_(torch.tensor([0.0, -5.0]).repeat_interleave(self.heads))

    def features(self, x: Tensor) -> Tensor:
        """Return SiLU at length 1."""
        return F.normalize(F.silu(x), dim=-1)

    def init_state(self, batch: int) -> State:
        """Return the slots at the beginning, (B, H, K, V)."""
        slots = F.normalize(self.begin.to(self.zeros(1).dtype), dim=-1)
        return {"slots": slots.expand(batch, -1, -1, -1)}

    def said(self, x: Tensor, state: State, mask: Tensor | None) -> list[Tensor]:
        """Return queries, keys, values, steps and what is kept, (B, H, T, .) each; padding makes no step."""
        parts = self.parts(x, {"memory": state["slots"]}, mask)
        theta, alpha = (self.split(t) for t in self.to_gates(x).chunk(2, -1))
        keep = (-alpha).sigmoid() if self.forget else torch.ones_like(alpha)
        if mask is not None:
            keep = keep.masked_fill(~mask[:, None, :, None], 1.0)
        return [t.to(state["slots"].dtype) for t in (parts.q, parts.k, parts.v, theta.sigmoid(), keep)]

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Update slot by slot, token by token: s^' r of all slots is one product."""
        q, k, v, theta, keep = self.said(x, state, mask)
        steps, S, out = (theta * k)[..., None], state["slots"], []
        for t in range(x.shape[1]):
            inverse = S.square().sum(-1, keepdim=True).rsqrt()  # (B, H, K, 1)
            normed = S * inverse
            missing = v[:, :, t, None] - k[:, :, t, None] @ normed  # (B, H, 1, V)
            along = missing @ normed.transpose(-1, -2)  # (B, H, 1, K)
            S = keep[:, :, t, :, None] * S + steps[:, :, t] * inverse * (missing - along.transpose(-1, -2) * normed)
            out.append(q[:, :, t, None] @ (S * S.square().sum(-1, keepdim=True).rsqrt()))
        return self.answer(torch.cat(out, 2), x), {"slots": S}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Project onto what is orthogonal to each slot, by the formula."""
        q, k, v, theta, keep = self.said(x, state, None)
        S, out, one = state["slots"], [], torch.eye(self.value, dtype=v.dtype, device=v.device)
        for t in range(x.shape[1]):
            normed = F.normalize(S, dim=-1)
            missing = v[:, :, t] - torch.einsum("bhk,bhkv->bhv", k[:, :, t], normed)
            project = one - normed[..., :, None] * normed[..., None, :]  # (B, H, K, V, V)
            update = torch.einsum("bhkvw,bhw->bhkv", project, missing)
            share = theta[:, :, t] * k[:, :, t] / S.norm(dim=-1)
            S = keep[:, :, t, :, None] * S + share[..., None] * update
            out.append(torch.einsum("bhk,bhkv->bhv", q[:, :, t], F.normalize(S, dim=-1)))
        return self.answer(torch.stack(out, 2), x), {"slots": S}
