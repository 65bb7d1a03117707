"""The contract of candidates: how a space that is too large to be read is searched.

A store that has indexes of words and vectors of its own finds some hundreds of versions that may answer; only these, and
those that stand beside them, are read and scored as the cubes of a small space are. Where a store has none
(`Store.candidates` is None), the text memory keeps indexes in `Bulk.folder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemos.store.values import Filter, IndexRow


class Scored(NamedTuple):
    """Versions, the best first."""

    keys: NDArray[np.int64]  # (M,)
    scores: NDArray[np.float32]  # (M,) the higher the better


@dataclass(frozen=True, slots=True)
class Frequencies:
    """What scoring a few versions has to know of all that are searched. Estimates will do, at most a minute old."""

    count: int  # versions that are searched, N
    documents: Mapping[str, int]  # term -> in how many of them it is
    mean_length: float  # terms of an original
    median_length: float


class Candidates(Protocol):
    """Finds versions by an index of the store. Only text that is current and not archived counts: what a search sees."""

    def by_terms(self, terms: Sequence[str], filter: Filter, limit: int) -> Scored:
        """Return at most `limit` matching versions that have some of the terms or forms (see `Entry.terms`).

        Those with the most and the rarest of them come first. Must find what BM25 ranks first: a sum of
        log(1 + N / df) over the terms of a version suffices.
        """

    def by_vector(self, model: int, vector: NDArray[np.floating], filter: Filter, limit: int) -> Scored:
        """Return at most `limit` matching versions, those with the highest cosine first; approximate."""

    def around(self, keys: Sequence[int], reach: int) -> list[int]:
        """Return these keys and those of the `reach` turns before and after each in its session, by time, sorted."""

    def rows(self, keys: Sequence[int], model: int | None) -> list[IndexRow]:
        """Return what recall reads of these versions, in the order of keys."""

    def frequencies(self, terms: Sequence[str]) -> Frequencies:
        """Return how common terms are. Must be fast: O(log N) a term."""


class Bulk(Protocol):
    """Reads a large space part by part."""

    @property
    def folder(self) -> Path | None:
        """On this machine, for indexes that can be made again; removed with the space. None: nowhere."""

    def newest(self) -> int:
        """Return the key of the newest version, or more; no space has more versions than that. O(1)."""

    def count(self) -> int:
        """Return the number of versions. O(N)."""

    def next_key(self, first: int) -> int | None:
        """Return the lowest key from `first` on, or None. O(log N)."""

    def between(self, first: int, last: int, model: int | None) -> list[IndexRow]:
        """Return the versions with keys in [first, last), also those that are not current, in the order of keys."""
