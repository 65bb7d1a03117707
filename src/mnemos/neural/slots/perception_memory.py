"""PMI: slots that tokens compete for, and a long-term tensor of what followed what in them, read together.

B texts   L tokens of a segment   D channels   N slots   C relations
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.slots.segment import SlotSegment
from mnemos.registry import Paper, register


@register(
    "perception-memory-inference",
    papers=(Paper("A Framework for Inference Inspired by Human Memory Mechanisms", "2310.09297"),),
    task="slot-readers",
    baselines=("attention", "lm2"),
)
class PerceptionMemory(SlotSegment):
    """Writes slots by competition, associates what they held before and after, and reads both memories (arXiv 2310.09297).

    Working memory W (N, D): each slot attends to the `top` tokens of a segment that score best, R, and
    W' = sigmoid(f) W + sigmoid(i) tanh(R). Long-term memory (C, N, D): T' = decay T + sum of outer products, slot by slot, of
    r(W) (C) and tanh(V W') (D). A token reads U_w of the slots by attention, an address in C from itself and U_w, and with it
    U_l of the tensor by attention over N; a gate a merges them, x <- x + a U_w + (1 - a) U_l. A segment costs O(L^2 D + L N C D).
    The state is (B, 1 + C, N, D), the slots first. Departures: one layer for segment after
    segment; called again on what it returned it is the paper's wiring, whose time are its layers. r is of length 1 and `decay` a
    number, where the abstract leaves both open.
    """

    def __init__(
        self,
        width: int,  # D
        slots: int = 4,  # N
        heads: int = 2,  # of attention
        length: int = 128,  # tokens of a segment, at most
        relations: int = 8,  # C; 0: no long-term memory
        top: int = 5,  # tokens that a slot takes from
        decay: float = 0.95,  # of the long-term memory, a segment
    ) -> None:
        super().__init__(width, slots, heads, length)
        if relations < 0 or top < 1 or not 0 <= decay <= 1 or slots < 1:
            raise InvalidInput(
                f"slots is {slots}, relations {relations}, top {top}, decay {decay}: give at least 1, 0 and 1, and 0 to 1."
            )
        self.relations, self.top, self.decay = relations, top, decay
        self.gates = nn.Linear(2 * width, 2 * width)
        if relations:
            self.before, self.after = nn.Linear(width, relations, bias=False), nn.Linear(width, width)
            self.address, self.search = nn.Linear(width, relations), nn.Linear(width, width)
            self.merge = nn.Linear(2 * width, width)

    def init_state(self, batch: int) -> Tensor:
        """Return slots that are rows of an identity matrix, padded or cut to D channels, and nothing associated."""
        eye = torch.eye(self.slots, self.width, device=self.place.device, dtype=self.place.dtype)
        return F.pad(eye[None], (0, 0, 0, 0, 0, self.relations)).expand(batch, -1, -1, -1)

    def write(self, x: Tensor, state: Tensor) -> Tensor:
        """Return the state after a segment."""
        W = state[:, 0]
        k, v = self.write_kv(x).chunk(2, -1)
        scores = self.write_q(W) @ k.transpose(1, 2) / self.width**0.5
        best = scores.topk(min(self.top, x.shape[1]), -1)
        R = torch.zeros_like(scores).scatter(-1, best.indices, best.values.softmax(-1)) @ v
        f, i = self.gates(torch.cat([R, W.tanh()], -1)).chunk(2, -1)
        new = (f + 1).sigmoid() * W + i.sigmoid() * R.tanh()
        if not self.relations:
            return new[:, None]
        r = F.normalize(self.before(W), dim=-1)
        made = torch.einsum("bnc,bnd->bcnd", r, self.after(new).tanh())
        return torch.cat([new[:, None], self.decay * state[:, 1:] + made], 1)

    def recalled(self, x: Tensor, state: Tensor) -> Tensor:
        """Return what tokens (B, L, D) read of both memories."""
        k, v = (self.split(t) for t in self.read(state[:, 0]).chunk(2, -1))
        of_slots: Tensor = self.joined(F.scaled_dot_product_attention(self.split(self.ask(x)), k, v))
        read = of_slots
        if self.relations:
            address = F.normalize(self.address(x + of_slots), dim=-1)
            found = torch.einsum("blc,bcnd->blnd", address, state[:, 1:])
            weights = (torch.einsum("bld,blnd->bln", self.search(x), found) / self.width**0.5).softmax(-1)
            of_tensor = torch.einsum("bln,blnd->bld", weights, found)
            a = self.merge(torch.cat([of_slots, of_tensor], -1)).sigmoid()
            read = a * of_slots + (1 - a) * of_tensor
        joined: Tensor = self.join(read)
        return joined
