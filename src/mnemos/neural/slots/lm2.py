"""LM2: a layer with a bank of slots beside its attention, read through a gate and rewritten through two.

B texts   L tokens of a segment   D channels   N slots
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.neural.slots.segment import SlotSegment
from mnemos.registry import Paper, register


@register(
    "lm2",
    papers=(Paper("LM2: Large Memory Models", "2502.06049", "convergence-ai/lm2"),),
    task="slot-readers",
    baselines=("memformer",),
)
class LargeMemory(SlotSegment):
    """Adds what tokens read of slots through a gate, and rewrites the slots as an LSTM does its cell (arXiv 2502.06049).

    E = attention of the tokens to the slots; x <- x + sigmoid(E W) * E, a path beside attention. Then each slot reads the
    segment, R, and M <- sigmoid(f) * M + sigmoid(i) * tanh(R), with f and i from R and tanh(M). Slots begin as rows
    of an identity, which tells them apart. A segment costs O(L^2 D + L N D); the state is N D numbers. Departures: one
    layer; the paper writes a slot from the tokens that read it, here it asks for them itself, as in Memformer.
    """

    def __init__(
        self,
        width: int,  # D
        slots: int = 8,  # N
        heads: int = 2,  # of attention
        length: int = 128,  # tokens of a segment, at most
        forget: float = 1.0,  # bias of the forget gate: how long slots live at first
    ) -> None:
        super().__init__(width, slots, heads, length)
        self.forget = forget
        self.gate, self.gates = nn.Linear(width, width), nn.Linear(2 * width, 2 * width)

    def init_state(self, batch: int) -> Tensor:
        """Return slots (B, N, D) that are rows of an identity matrix, padded or cut to D channels."""
        eye = torch.eye(self.slots, self.width, device=self.place.device, dtype=self.place.dtype)
        return eye.expand(batch, -1, -1)

    def recalled(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return what tokens (B, L, D) read of the slots, through the output gate."""
        E = super().recalled(x, slots)
        gated: Tensor = self.gate(E).sigmoid() * E
        return gated

    def write(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return the slots after a segment."""
        read = self.attended(x, slots)[1]
        f, i = self.gates(torch.cat([read, slots.tanh()], -1)).chunk(2, -1)
        rewritten: Tensor = (f + self.forget).sigmoid() * slots + i.sigmoid() * read.tanh()
        return rewritten
