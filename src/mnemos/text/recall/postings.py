"""What terms add to the scores of cubes and talks, cached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
KEPT = 2_000_000  # positions in the cache of terms: 16 MB


@dataclass(frozen=True, slots=True)
class TermPosting:
    """What a term adds to the BM25 of cubes and talks."""

    weight: float  # its idf over cubes
    parts: tuple[tuple[int, Ints, Floats], ...]  # by reach of a window: positions (M,), and what it adds there (M,)
    talk_weight: float  # its idf over talks
    talks: tuple[NDArray[np.int64], Floats]  # the talks that contain it, and what it adds to each

    @property
    def positions(self) -> Ints:
        """The cubes that contain it, (df,)."""
        return self.parts[0][1]

    @property
    def size(self) -> int:
        """The number of positions it holds, and one for itself."""
        return 1 + sum(len(where) for _, where, _ in self.parts) + len(self.talks[0])


class TermCache:
    """A cache of term postings, least recently used first out: questions share many terms. Not safe for threads."""

    def __init__(self) -> None:
        self._terms: dict[str, TermPosting] = {}
        self.size = 0

    def get(self, term: str) -> TermPosting | None:
        """Return the posting of a term, or None."""
        if (posting := self._terms.pop(term, None)) is not None:
            self._terms[term] = posting
        return posting

    def put(self, term: str, posting: TermPosting) -> None:
        """Add a posting; the least recently used ones are evicted."""
        self._terms[term] = posting
        self.size += posting.size
        while self.size > KEPT:
            self.size -= self._terms.pop(next(iter(self._terms))).size
