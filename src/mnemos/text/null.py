"""Null implementations of the contracts of text memory: each satisfies its contract and does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mnemos.cube import Hit, MemCube
from mnemos.store.values import Entry, Filter
from mnemos.text.base import Asked, Floats, Histories, Ints, Memory, Ranking, View

if TYPE_CHECKING:
    from mnemos.embed.base import Embedder, Progress
    from mnemos.store.base import Store
    from mnemos.text.consolidate.report import Budget
    from mnemos.text.recall.query import Query


@dataclass(frozen=True, slots=True)
class NoEncoder:
    """Computes nothing: neither words nor vectors find the text."""

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: Progress | None = None
    ) -> list[Entry]:
        """Return an entry without terms, vector and dates for each cube."""
        return [Entry(cube, ()) for cube in cubes]


@dataclass(frozen=True, slots=True)
class NoRetriever:
    """Finds nothing."""

    uses_vector: ClassVar[bool] = False

    def rank(self, view: View, query: Query) -> Ranking:
        """Return 0 for every cube that is shown, (N,): nothing speaks for any."""
        scores = view.visible(np.zeros(len(view.shown), dtype=np.float32))
        return Ranking(scores, lambda positions: [{} for _ in positions])


@dataclass(frozen=True, slots=True)
class NoReranker:
    """Leaves the hits as they are."""

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first `k` hits."""
        return list(hits[:k])


@dataclass(frozen=True, slots=True)
class NoUpdater:
    """Appends: new cubes change nothing about existing ones."""

    def add(self, memory: Memory, entries: Sequence[Entry]) -> list[MemCube]:
        """Store each entry."""
        memory.store.insert(entries, memory.model_key())
        return [entry.cube for entry in entries]

    def revise(self, memory: Memory, entry: Entry) -> None:
        """Store the next version."""
        memory.store.replace(entry, memory.model_key())


@dataclass(frozen=True, slots=True)
class NoLaw:
    """Forgets nothing: every memory is worth 1 at any time."""

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return 1 for each memory, (N,)."""
        return np.ones(len(histories))

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,)."""
        return histories.strength, histories.tier


@dataclass(frozen=True, slots=True)
class NoPhase:
    """Does nothing."""

    def run(self, memory: Memory, budget: Budget) -> None:
        """Return at once."""


@dataclass(frozen=True, slots=True)
class NoGate:
    """Is open: every prompt may need memory."""

    def needs(self, memory: Memory, text: str) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True, slots=True)
class NoSelector:
    """Shows the hits and nothing else."""

    def select(
        self, memory: Memory, text: str, hits: Sequence[tuple[int, Hit]], filter: Filter
    ) -> list[tuple[int, Hit]]:
        """Return the hits."""
        return list(hits)
