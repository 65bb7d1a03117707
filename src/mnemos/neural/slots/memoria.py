"""Memoria: engrams pass from working memory to short-term and long-term memory, and live as long as they are recalled."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.slots.base import asked, checked
from mnemos.registry import Paper, register


@dataclass
class Engram:
    """A held vector, with its value, its lifespan, and how often others were recalled with it."""

    key: Tensor
    value: Tensor
    life: float
    fired: int = 1
    together: dict[int, int] = field(default_factory=dict)  # engram -> times recalled with it


@register(
    "memoria",
    papers=(
        Paper(
            "Memoria: Hebbian Memory Architecture for Human-Like Sequential Processing",
            "2310.03052",
            "cosmoquester/memoria",
        ),
    ),
    task="slot-readers",
)
class Memoria:
    """Remembers engrams in a short-term queue and a long-term web of what was recalled together (arXiv 2310.03052).

    Read: short-term engrams by exp(-|w - s|^2), the best `k`; from each a walk of `depth` steps into long-term memory
    along the strongest edge count(i, j) / count(i); of those found, the best `k` by similarity. All that were recalled
    fire together: their edges grow by 1. Each write costs every engram one of its lifespan, recall gives back `reward`
    times the weight it was recalled with; the dead are deleted, and where there are more than `size`, those with the
    shortest lives. Costs O(k depth degree + short) a read. Departure: reads go by keys that are given, instead of the
    hidden states of a model.
    """

    def __init__(
        self,
        key: int,  # K
        value: int,  # V
        size: int = 64,  # engrams, at most
        short: int = 16,  # of these, engrams of short-term memory
        k: int = 4,  # engrams that a read takes of each memory
        depth: int = 3,  # steps of a walk
        life: float = 50.0,  # writes that a new engram lives, unless it is recalled
        reward: float = 40.0,  # lifespan for a recall, by its weight
        scale: float = 1.0,  # of similarities
    ) -> None:
        if not 0 < short < size or k < 1 or depth < 1 or life <= 0 or scale <= 0:
            raise InvalidInput(
                f"size {size}, short {short}, k {k}, depth {depth}, life {life}: give positive ones, short < size."
            )
        self.key, self.value, self.size, self.short, self.k = key, value, size, short, k
        self.depth, self.life, self.reward, self.scale = depth, life, reward, scale
        self.engrams: dict[int, Engram] = {}
        self.recent: list[int] = []  # short-term memory, the oldest first
        self.recalled: list[int] = []  # by the last read
        self.next = 0

    def __len__(self) -> int:
        """Return how many engrams live."""
        return len(self.engrams)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Make engrams, which fire with those of the last read; the oldest of a full queue become long-term."""
        checked(keys, values, self.key, self.value)
        for key, value in zip(keys, values, strict=True):
            self.engrams[self.next] = Engram(key, value, self.life)
            self.fire([self.next, *self.recent[-1:], *(i for i in self.recalled if i in self.engrams)])
            self.recent = [*self.recent, self.next][-self.short :]
            self.next += 1
            self.grow_old()

    def grow_old(self) -> None:
        """Take one from every lifespan and delete the dead, and the nearest to death where there are too many."""
        for one in self.engrams.values():
            one.life -= 1
        order = sorted((i for i in self.engrams if i not in self.recent), key=lambda i: self.engrams[i].life)
        dead = [i for i in order if self.engrams[i].life <= 0]
        dead += order[len(dead) : len(dead) + max(0, len(self) - len(dead) - self.size)]
        for i in dead:
            for j in self.engrams[i].together:
                if j in self.engrams:
                    self.engrams[j].together.pop(i, None)
            del self.engrams[i]

    def read(self, keys: Tensor) -> Tensor:
        """Return values (M, V); what is recalled lives longer and fires together."""
        return torch.stack([self.recall(key) for key in asked(keys, self.key, len(self))])

    def recall(self, key: Tensor) -> Tensor:
        """Return the value of one key (K)."""
        first = self.best(key, self.recent)
        found = [i for start in first for i in self.walk(start)]
        self.recalled = list(dict.fromkeys([*first, *self.best(key, found)]))
        weights = self.near(key, self.recalled).softmax(0)
        for i, weight in zip(self.recalled, weights.tolist(), strict=True):
            self.engrams[i].life += self.reward * weight
        self.fire(self.recalled)
        return weights @ torch.stack([self.engrams[i].value for i in self.recalled])

    def near(self, key: Tensor, of: list[int]) -> Tensor:
        """Return -|key - s|^2 / scale of engrams."""
        return -(torch.stack([self.engrams[i].key for i in of]) - key).square().sum(-1) / self.scale

    def best(self, key: Tensor, of: list[int]) -> list[int]:
        """Return the k most similar engrams of a list."""
        one = list(dict.fromkeys(of))
        return [one[i] for i in self.near(key, one).topk(min(self.k, len(one))).indices.tolist()] if one else []

    def walk(self, start: int) -> list[int]:
        """Return the engrams of long-term memory met along the strongest edges."""
        found, here = [], start
        for _ in range(self.depth):
            edges = {
                j: n
                for j, n in self.engrams[here].together.items()
                if j in self.engrams and j not in found and j != start
            }
            if not edges:
                break
            here = max(edges, key=lambda j: (edges[j] / self.engrams[here].fired, j))
            found.append(here)
        return [i for i in found if i not in self.recent]

    def fire(self, together: list[int]) -> None:
        """Count engrams as recalled together."""
        for i in together:
            one = self.engrams[i]
            one.fired += 1
            for j in together:
                if j != i:
                    one.together[j] = one.together.get(j, 0) + 1
