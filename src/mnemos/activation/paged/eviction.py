"""Which cached prefix goes first when space is needed: by age, by segment, by hits per token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mnemos.errors import InvalidInput
from mnemos.registry import register


@dataclass(slots=True)
class Held:
    """A prefix in the cache: its tokens, how often it was asked for (the first time counts), and when last."""

    tokens: int
    hits: int = 1
    last: int = 0


class Ranking(Protocol):
    """Says what a prefix deserves: the least goes first."""

    def keep(self, held: Held) -> tuple[float, ...]:
        """Return what decides, compared from the left."""


@register("lru-prefixes")
@dataclass(frozen=True, slots=True)
class Lru:
    """Least recently used: what was not asked for the longest goes first."""

    def keep(self, held: Held) -> tuple[float, ...]:
        """Return when it was last asked for."""
        return (held.last,)


@register("slru-prefixes")
@dataclass(frozen=True, slots=True)
class Slru:
    """Segmented LRU: what was asked for fewer than `protect` times goes before all that is protected.

    A scan of prefixes that are used once then leaves the hot ones alone. As in SGLang (pull request 18843), the
    protected segment has no size of its own and nothing is demoted from it.
    """

    protect: int = 2

    def keep(self, held: Held) -> tuple[float, ...]:
        """Return whether it is protected, then when it was last asked for."""
        return (float(held.hits >= self.protect), held.last)


@register("hits-per-token")
@dataclass(frozen=True, slots=True)
class HitsPerToken:
    """Size-aware: what was asked for least per token of space goes first, the older of equals.

    One large prefix that is rarely asked for gives room to many small ones. As SGLang's pull request 30300 proposes.
    """

    def keep(self, held: Held) -> tuple[float, ...]:
        """Return the hits per token, then when it was last asked for."""
        return (held.hits / held.tokens, held.last)


class PrefixCache:
    """Prefixes by name, in so many tokens of space; what does not fit goes by a ranking.

    A prefix that is larger than the whole space is not kept. What was evicted is forgotten with its hits.
    """

    def __init__(self, tokens: int, ranking: Ranking) -> None:
        if tokens < 1:
            raise InvalidInput(f"a prefix cache of {tokens} tokens: expected 1 or more.")
        self.tokens, self.ranking = tokens, ranking
        self.held: dict[str, Held] = {}
        self.used = 0
        self._clock = 0

    def ask(self, name: str, tokens: int) -> bool:
        """Return whether a prefix is there; if not, take it in and evict what deserves least until it fits."""
        self._clock += 1
        if entry := self.held.get(name):
            entry.hits, entry.last = entry.hits + 1, self._clock
            return True
        if tokens <= self.tokens:
            while self.used + tokens > self.tokens:
                victim = min(self.held, key=lambda key: self.ranking.keep(self.held[key]))
                self.used -= self.held.pop(victim).tokens
            self.held[name] = Held(tokens, 1, self._clock)
            self.used += tokens
        return False
