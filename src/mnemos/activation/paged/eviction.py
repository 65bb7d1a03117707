"""The order in which cached prefixes are evicted: by age, by segment, or by hits per token."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from mnemos.activation.paged.base import PrefixEntry, Ranking
from mnemos.errors import NotFound
from mnemos.registry import register

K = TypeVar("K", bound=Hashable)
SLACK = 64  # outdated items that a heap may hold beside as many as are valid


@register("lru-prefixes", task="kv-schedule")
@dataclass(frozen=True, slots=True)
class PrefixLru:
    """Evict the least recently used prefix first: the textbook's order, and the baseline of the others."""

    def priority(self, entry: PrefixEntry) -> tuple[float, ...]:
        """Return when it was last used."""
        return (entry.last,)


@register("slru-prefixes", task="kv-schedule", baselines=("lru-prefixes",))
@dataclass(frozen=True, slots=True)
class PrefixSlru:
    """Segmented LRU: evict prefixes with fewer than `protect` hits before all others, by age within each segment.

    A scan of prefixes that are used once then leaves the hot ones in place. The textbook's policy as SGLang has it
    (pull request 18843): the protected segment has no size of its own and nothing is demoted from it.
    """

    protect: int = 2  # hits from which on a prefix is protected

    def priority(self, entry: PrefixEntry) -> tuple[float, ...]:
        """Return whether it is protected, then when it was last used."""
        return (float(entry.hits >= self.protect), entry.last)


@register("hits-per-token", task="kv-schedule", baselines=("lru-prefixes",))
@dataclass(frozen=True, slots=True)
class HitsPerToken:
    """Evict the prefix with the fewest hits per token of its length first, the older of equals.

    A large prefix that is rarely asked for makes room for many small ones. There is no paper: the formula is that of
    SGLang's pull request 30300, the pages are ours (each stands for the prefix that ends with it).
    """

    def priority(self, entry: PrefixEntry) -> tuple[float, ...]:
        """Return the hits per token, then when it was last used."""
        return (entry.hits / entry.tokens, entry.last)


class EvictionQueue(Generic[K]):
    """Prefixes that may be evicted, in the order of a ranking; of equal priorities the first added goes first.

    An entry must not change while it is in the queue: `discard` it, and `add` it again. Add and pop are O(log n).
    """

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        self._numbers = itertools.count()
        self._valid: dict[K, int] = {}  # the number of the item that counts; others in the heap are outdated
        self._heap: list[tuple[tuple[float, ...], int, K]] = []

    def __len__(self) -> int:
        return len(self._valid)

    def __contains__(self, key: object) -> bool:
        return key in self._valid

    def __iter__(self) -> Iterator[K]:
        return iter(self._valid)

    def add(self, key: K, entry: PrefixEntry) -> None:
        """Add a prefix, or give it the priority of its present entry."""
        number = self._valid[key] = next(self._numbers)
        heapq.heappush(self._heap, (self.ranking.priority(entry), number, key))
        if len(self._heap) > 2 * len(self._valid) + SLACK:
            self._heap = [item for item in self._heap if self._valid.get(item[2]) == item[1]]
            heapq.heapify(self._heap)

    def discard(self, key: K) -> None:
        """Take a prefix out, if it is in the queue."""
        self._valid.pop(key, None)

    def pop(self) -> K:
        """Take out and return the prefix to evict first. Raises NotFound when the queue is empty."""
        while self._heap:
            _, number, key = heapq.heappop(self._heap)
            if self._valid.get(key) == number:
                del self._valid[key]
                return key
        raise NotFound("nothing to evict: every prefix is in use or leased.")
