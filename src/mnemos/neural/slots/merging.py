"""A bank of moments that merges the most alike neighbours when it is full, and a gate that fuses what it answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.slots.base import asked, checked
from mnemos.registry import Paper, register

PAPERS = (
    Paper(
        "MemoryVLA: Perceptual-Cognitive Memory in Vision-Language-Action Models for Robotic Manipulation",
        "2508.19236",
        "shihao1895/MemoryVLA",
    ),
)


@register("merged-neighbours", papers=PAPERS, task="slot-readers")
class MergedNeighbours:
    """Keeps a stream of entries in order, and replaces the most alike adjacent pair by its mean when there is one too many.

    A long stretch of near-equal moments shrinks to one entry, and a rare moment keeps its own (arXiv 2508.19236). Read:
    softmax over keys, which carry their time. Costs O(size (K + V)) a write. `merge=False` drops the oldest instead
    (the baseline). Departure: the mean is weighted by how many moments an entry stands for.
    """

    def __init__(
        self,
        key: int,  # K
        value: int,  # V
        size: int = 16,  # L, entries at most
        merge: bool = True,  # merge neighbours; False: drop the oldest
        temperature: float = 0.1,  # of the cosines that are read by
    ) -> None:
        if size < 2 or temperature <= 0:
            raise InvalidInput(
                f"size is {size}, temperature {temperature}: give at least 2 entries and a positive temperature."
            )
        self.key, self.value, self.size, self.merge, self.temperature = key, value, size, merge, temperature
        self.keys, self.values, self.counts = torch.zeros(0, key), torch.zeros(0, value), torch.zeros(0)

    def __len__(self) -> int:
        """Return how many entries are held."""
        return len(self.keys)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Append entries, merging or dropping one for each that is too many."""
        checked(keys, values, self.key, self.value)
        for key, value in zip(keys.split(1), values.split(1), strict=True):
            self.keys, self.values = torch.cat([self.keys, key]), torch.cat([self.values, value])
            self.counts = torch.cat([self.counts, torch.ones(1)])
            if len(self) > self.size:
                self.shrink()

    def shrink(self) -> None:
        """Merge the most alike neighbours, or drop the oldest."""
        if not self.merge:
            self.keys, self.values, self.counts = self.keys[1:], self.values[1:], self.counts[1:]
            return
        at = int(F.cosine_similarity(self.values[:-1], self.values[1:]).argmax())
        share = (self.counts[at : at + 2] / self.counts[at : at + 2].sum())[:, None]

        def merged(t: Tensor) -> Tensor:
            return torch.cat([t[:at], (share * t[at : at + 2]).sum(0, keepdim=True), t[at + 2 :]])

        total = self.counts[at : at + 2].sum().view(1)
        self.keys, self.values = merged(self.keys), merged(self.values)
        self.counts = torch.cat([self.counts[:at], total, self.counts[at + 2 :]])

    def read(self, keys: Tensor) -> Tensor:
        """Return the values (M, V) of keys (M, K)."""
        near = F.normalize(asked(keys, self.key, len(self)), dim=-1) @ F.normalize(self.keys, dim=-1).T
        read: Tensor = (near / self.temperature).softmax(-1) @ self.values
        return read


@register("gated-fusion", papers=PAPERS, task="slot-readers")
class GatedFusion(nn.Module):  # type: ignore[misc]
    """Fuses what is seen and what is remembered: g h + (1 - g) x with g = sigmoid(W [x; h]) (arXiv 2508.19236)."""

    def __init__(
        self,
        width: int,  # channels of what is fused
        gated: bool = True,  # by a gate; False: by adding (the baseline)
    ) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width) if gated else None

    def forward(self, seen: Tensor, remembered: Tensor) -> Tensor:
        """Return the fused vectors, of the same shape."""
        if self.gate is None:
            return seen + remembered
        g = self.gate(torch.cat([seen, remembered], -1)).sigmoid()
        return g * remembered + (1 - g) * seen
