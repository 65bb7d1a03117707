"""Baselines that a law of forgetting has to beat: first in first out, least recently used, and chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import register
from mnemos.text.base import Floats, Histories, Ints


@register("fifo")
@dataclass(frozen=True, slots=True)
class Fifo:
    """First in, first out: the oldest memories are forgotten first, used or not."""

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return when each memory was created, (N,), in days since 1970."""
        return histories.created

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,)."""
        return histories.strength, histories.tier


@register("lru")
@dataclass(frozen=True, slots=True)
class Lru:
    """Least recently used: what was neither learned nor recalled for the longest time is forgotten first."""

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return minus the days since each memory was last recalled or created, (N,)."""
        return histories.recalled - now

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,): the caller stores the time of the recall."""
        return histories.strength, histories.tier


@register("random")
@dataclass(frozen=True, slots=True)
class Random:
    """Chance: each memory draws a lot when it is created and keeps it.

    The lot is a hash of the time of creation and the seed (splitmix64), the same on every call and machine; memories
    created at exactly the same time share one.
    """

    seed: int = 0  # of the lots

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the lot of each memory, (N,), evenly spread over 0 to 1 and the same at any time."""
        return lots(self.seed, np.ascontiguousarray(histories.created, dtype=np.float64).view(np.uint64))

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,)."""
        return histories.strength, histories.tier


def lots(seed: int, values: NDArray[np.uint64]) -> Floats:
    """Return a lot for each of N values, (N,), evenly spread over 0 to 1: their hash (splitmix64)."""
    mixed = values + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    drawn: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn
