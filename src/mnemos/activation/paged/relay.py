"""RelayAttention: a batch of requests attends to one copy of their shared prefix.

Shapes: B requests, H key/value heads, G query heads per key/value head, q queries of a call, s tokens of the prefix,
T entries of a request, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.paged.softmax import ALL_VISIBLE, ChunkedAttention, Visibility, merge
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

CHUNKS = ChunkedAttention()


@register(
    "relay-attention",
    papers=(
        Paper(
            "RelayAttention for Efficient Large Language Model Serving with Long System Prompts",
            "2402.14808",
            code="rayleizhu/vllm-ra",
        ),
    ),
    task="kv-pages",
)
@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """Attend exactly to a prefix that many requests share, stored and read once for all of them.

    System attention: the queries of all requests are rows of one matrix product against the prefix. Context attention:
    each request against its own entries. Relay fusion: o = a o_sys + (1 - a) o_ctx with
    a = exp(lse_sys) / (exp(lse_sys) + exp(lse_ctx)). The prefix is at positions 0..s-1 and the entries of a request
    follow at s, s + 1, …: rotate their keys and queries accordingly.
    """

    keys: Tensor  # (H, s, D), of one layer
    values: Tensor  # (H, s, D)
    chunks: ChunkedAttention = CHUNKS  # how both parts are computed

    def __post_init__(self) -> None:
        if self.keys.ndim != 3 or self.keys.shape[:2] != self.values.shape[:2] or self.keys.shape[1] == 0:
            shapes = f"keys {tuple(self.keys.shape)} and values {tuple(self.values.shape)}"
            raise InvalidInput(
                f"{shapes}: expected the keys and values of a prefix, both (H, s, D) with s of 1 or more."
            )

    @property
    def nbytes(self) -> int:
        """Bytes of the prefix, for any number of requests."""
        return int(self.keys.nbytes + self.values.nbytes)

    def attend(
        self, query: Tensor, keys: Tensor, values: Tensor, visible: Visibility = ALL_VISIBLE, scale: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (output (B, G*H, q, D), log-sum-exp (B, G*H, q)) of `query` (B, G*H, q, D) over prefix and requests.

        `keys` and `values` (B, H, T, D) are the requests' own entries after the prefix, and `visible` applies to them:
        with an `offset`, query i sees the prefix and the entries up to offset + i. T may be 0.
        """
        b, heads, q, width = query.shape
        rows = query.transpose(0, 1).reshape(1, heads, b * q, width)  # (1, G*H, B*q, D)
        output, lse = self.chunks.attend(rows, self.keys[None], self.values[None], scale=scale)
        system = output[0].view(heads, b, q, -1).transpose(0, 1), lse[0].view(heads, b, q).transpose(0, 1)
        if keys.shape[2] == 0:
            return system
        own = self.chunks.attend(query, keys, values, visible, scale)
        output, lse = merge([system[0], own[0]], [system[1], own[1]])
        return output, lse
