"""Inverted index: postings in memory, scored by BM25."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Posting:
    """The documents that contain a term: their `positions` (df,), each once, and its `counts` in them."""

    positions: NDArray[np.int32]
    counts: Floats

    def only(self, wanted: NDArray[np.bool_]) -> Posting:
        """Return the posting restricted to documents where `wanted` (N,) is True."""
        kept = wanted[self.positions]
        return Posting(self.positions[kept], self.counts[kept])


class LexicalIndex:
    """An inverted index that only grows; documents are numbered from 0 as they are added.

    About 8 bytes for each distinct term of a document. Adding costs O(terms of the document).
    """

    def __init__(self) -> None:
        self._positions: dict[str, array[int]] = {}
        self._counts: dict[str, array[int]] = {}
        self._lengths = array("i")

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of the postings, without the dictionary of terms."""
        return sum(8 * len(p) + 200 for p in self._positions.values())

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Append documents, each a sequence of terms."""
        for terms in documents:
            position = len(self._lengths)
            self._lengths.append(len(terms))
            for term, count in Counter(terms).items():
                if term not in self._positions:
                    self._positions[term], self._counts[term] = array("i"), array("i")
                self._positions[term].append(position)
                self._counts[term].append(count)

    def lengths(self) -> Floats:
        """Return the number of terms of each document, (N,)."""
        return np.array(self._lengths, dtype=np.float32)

    def postings(self, most: int) -> Iterator[NDArray[np.int32]]:
        """Yield the positions of each term that occurs in 2 to `most` documents. O(terms)."""
        for positions in self._positions.values():
            if 2 <= len(positions) <= most:
                yield np.array(positions, dtype=np.int32)

    def posting(self, term: str) -> Posting | None:
        """Return the posting of a term; None where no document has it. O(df)."""
        positions = self._positions.get(term)
        if positions is None:
            return None
        return Posting(np.array(positions, dtype=np.int32), np.array(self._counts[term], dtype=np.float32))


def idf(documents: int, df: int) -> float:
    """Return the inverse document frequency of BM25, log(1 + (N - df + 0.5) / (df + 0.5)): always positive."""
    return math.log1p((documents - df + 0.5) / (df + 0.5))


def saturate(counts: Floats, lengths: Floats, mean_length: float, k1: float = 1.2, b: float = 0.75) -> Floats:
    """Return BM25's weight of a term that occurs `counts` times in documents of these lengths, below 1.

    tf / (tf + k1 (1 - b + b length / mean)): Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and
    Beyond (2009), without the constant factor k1 + 1.
    """
    norm = k1 * (1 - b + b * lengths / max(mean_length, 1e-9))
    weights: Floats = (counts / (counts + norm)).astype(np.float32)
    return weights
