"""Prefix linear attention: the prompt is read as a whole, what follows token by token; and prompts that are read twice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.neural.base import State
from mnemos.neural.linear.linear_attention import LinearAttention
from mnemos.registry import Paper, register


@register(
    "prefix-linear-attention",
    papers=(
        Paper(
            "Just read twice: closing the recall gap for recurrent language models",
            "2407.05483",
            "HazyResearch/prefix-linear-attention",
        ),
    ),
    task="linear-layers",
    unmeasured="no benchmark has prompts that are read as a whole yet",
    baselines=("linear-attention",),
)
class PrefixLinearAttention(LinearAttention):
    """Adds to linear attention a sum over the whole prompt, which every token of the prompt sees (arXiv 2407.05483, JRT-RNN).

    y_t = phi(q_t)' (sum_{j <= t} phi(k_j) v_j' + sum_{j <= M} phi(ke_j) ve_j'), divided by the same sum of keys; M tokens of a
    prompt, with keys and values of an encoder. `read_prefix` reads a prompt and returns a state; `forward` goes on from it
    and is causal, so without a prompt the layer is linear attention.
    """

    def build(self) -> None:
        """Make the encoder's projections."""
        self.encode_k = nn.Linear(self.width, self.heads * self.key, bias=False)
        self.encode_v = nn.Linear(self.width, self.heads * self.value, bias=False)

    def read_prefix(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Return outputs (B, M, D) of the tokens of a prompt, each of which sees all of it, and the state after it."""
        k, v = self.features(self.split(self.encode_k(x))), self.split(self.encode_v(x))
        k = k if mask is None else k * mask[:, None, :, None]
        ones = torch.ones_like(v[..., :1])
        memory = k.transpose(-1, -2) @ torch.cat([v, ones], -1)
        y, state = self(x, {"memory": memory.to(self.init_state(1)["memory"].dtype)}, mask)
        return y, state


def read_twice(context: Tensor, question: Tensor) -> Tensor:
    """Return the prompt context, question, context, question (B, T) of tokens (arXiv 2407.05483, JRT-Prompt).

    On the second reading a memory of fixed size knows what it is to keep.
    """
    return torch.cat([context, question, context, question], 1)
