"""A bank that consolidates as XMem does: what is used becomes a prototype that stands for what is like it."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.slots.base import asked, checked, nearest
from mnemos.registry import Paper, register


@register(
    "usage-prototypes",
    papers=(
        Paper(
            "XMem: Long-Term Video Object Segmentation with an Atkinson-Shiffrin Memory Model",
            "2207.07115",
            "hkchengrex/XMem",
        ),
    ),
    task="slot-readers",
)
class UsagePrototypes:
    """Holds new entries in a working memory and, when that is full, keeps the most used as prototypes of a long-term memory.

    Read: softmax over the `k` best of -|key - q|^2 / temperature, in both memories. Usage: what an entry's weights of
    reads sum to, divided by its age. Consolidation: the `prototypes` most used working entries stay; the value of each
    becomes the mean of all working values, weighted by their affinity to its key (potentiation); if there is no room,
    long-term entries of least use go (arXiv 2207.07115). The newest `recent` entries stay in working memory. Costs O(M
    size K) a read. Holds `size` entries at most. Departure: shrinkage and selection (learned scales of the similarity)
    are left out; one frame is one entry.
    """

    def __init__(
        self,
        key: int,  # K
        value: int,  # V
        size: int = 64,  # entries of both memories, at most
        working: int = 32,  # of these, entries of working memory
        prototypes: int = 8,  # kept at each consolidation
        recent: int = 4,  # newest entries that are not consolidated
        k: int = 8,  # entries that a read goes over
        temperature: float = 1.0,  # of similarities
        average: bool = True,  # whether values of prototypes are averaged (potentiation)
        by: str = "usage",  # what stays: "usage", or the baselines "newest" and "random"
        seed: int = 0,  # of random choice
    ) -> None:
        if (
            not 0 <= recent < working < size
            or not 0 < prototypes <= working - recent
            or by not in ("usage", "newest", "random")
        ):
            raise InvalidInput(
                f"size {size}, working {working}, prototypes {prototypes}, recent {recent}, by {by!r}: "
                "give recent < working < size, "
                "prototypes within working - recent, and by 'usage', 'newest' or 'random'."
            )
        self.key, self.value, self.size, self.working, self.prototypes, self.recent = (
            key,
            value,
            size,
            working,
            prototypes,
            recent,
        )
        self.k, self.temperature, self.average, self.by = k, temperature, average, by
        self.generator = torch.Generator().manual_seed(seed)
        self.keys, self.values = torch.zeros(0, key), torch.zeros(0, value)
        self.use, self.age = torch.zeros(0), torch.zeros(0)
        self.long = 0  # the first entries are those of long-term memory

    def __len__(self) -> int:
        """Return the entries of both memories."""
        return len(self.keys)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Take entries into working memory, and consolidate when it is full."""
        checked(keys, values, self.key, self.value)
        for key, value in zip(keys.split(1), values.split(1), strict=True):
            self.keys, self.values = torch.cat([self.keys, key]), torch.cat([self.values, value])
            self.use = torch.cat([self.use, torch.zeros(1)])
            self.age = torch.cat([self.age + 1, torch.ones(1)])
            if len(self) - self.long >= self.working:
                self.consolidate()

    def affinity(self, keys: Tensor) -> Tensor:
        """Return how near keys (M, K) are to all entries, (M, n)."""
        return -torch.cdist(keys, self.keys).square() / self.temperature

    def read(self, keys: Tensor) -> Tensor:
        """Return values (M, V), and count the weights as use."""
        scores = self.affinity(asked(keys, self.key, len(self)))
        best = scores.topk(min(self.k, len(self)), -1)
        weights = torch.zeros_like(scores).scatter(1, best.indices, best.values.softmax(-1))
        self.use = self.use + weights.sum(0)
        return nearest(scores, self.values, self.k)

    def consolidate(self) -> None:
        """Turn working entries, but the newest, into prototypes."""
        end = len(self) - self.recent
        candidates = torch.arange(self.long, end)
        chosen = candidates[self.rank(candidates).topk(self.prototypes).indices.sort().values]
        values = self.values[chosen]
        if self.average:
            weights = self.affinity(self.keys[chosen])[:, candidates].softmax(-1)
            values = weights @ self.values[candidates]
        old = torch.arange(self.long)
        room = self.size - self.working - self.prototypes
        if len(old) > room:
            old = self.rank(old).topk(max(room, 0)).indices.sort().values
        newest = torch.arange(end, len(self))
        stay = torch.cat([old, chosen, newest])
        self.values = torch.cat([self.values[old], values, self.values[newest]])
        self.keys, self.use, self.age, self.long = (
            self.keys[stay],
            self.use[stay],
            self.age[stay],
            len(old) + len(chosen),
        )

    def rank(self, entries: Tensor) -> Tensor:
        """Return what decides which entries stay."""
        if self.by == "random":
            return torch.rand(len(entries), generator=self.generator)
        return -self.age[entries] if self.by == "newest" else self.use[entries] / self.age[entries]
