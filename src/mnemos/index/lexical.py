"""Inverted index: postings in memory, scored by BM25."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.index.stems import ANY, stemmer
from mnemos.index.terms import FORM, JOINED_FROM, forms, is_joined
from mnemos.index.word_parts import LANGUAGES, Compounds, split

Floats = NDArray[np.float32]
ONE, HALF = np.float32(1), np.float32(0.5)
CUT_FORM = f"{FORM}{ANY}:"


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

    A document is what `index_terms` returns. About 8 bytes for each distinct term, or form, of it. Adding costs O(terms).
    """

    def __init__(self) -> None:
        self._tags: frozenset[str] = frozenset()  # of the forms that there are
        self._compounds: dict[str, Compounds] = {}  # by tag, and under "" for scripts without spaces
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
        """Append documents, each a sequence of terms and forms."""
        for terms in documents:
            position, length = len(self._lengths), len(terms)
            for term, count in Counter(terms).items():
                if term not in self._positions:
                    self._positions[term], self._counts[term] = array("i"), array("i")
                    self._note(term)
                if term.startswith(FORM):
                    length -= count
                self._positions[term].append(position)
                self._counts[term].append(count)
            self._lengths.append(length)

    def _note(self, term: str) -> None:
        """Take a new term up as a form of a language, or as a word that may hold others."""
        label, word = "", term
        if term.startswith(FORM):
            label, _, word = term[1:].partition(":")
            self._tags |= {label}
        joined = term[:1] >= JOINED_FROM and is_joined(term)
        if joined or label in LANGUAGES:
            self._compounds.setdefault(label, Compounds(joined=joined)).add(word)

    def lengths(self) -> Floats:
        """Return the number of terms of each document, (N,); forms do not count."""
        return np.array(self._lengths, dtype=np.float32)

    def postings(self, most: int) -> Iterator[NDArray[np.int32]]:
        """Yield the positions of each term that occurs in 2 to `most` documents. O(terms)."""
        for term, positions in self._positions.items():
            if 2 <= len(positions) <= most and not term.startswith(FORM):
                yield np.array(positions, dtype=np.int32)

    def posting(self, word: str) -> Posting | None:
        """Return the documents that have a word, in any of its forms; None where none has it. O(df).

        Where only its beginning, a longer word with it or the parts of it occur, each counts half.
        """
        found_as = (key for key in forms(word, self._tags) if key in self._positions)
        keys = {key: HALF if key.startswith(CUT_FORM) else ONE for key in found_as}
        for key in self._loose(word) if self._compounds else ():
            keys.setdefault(key, HALF)
        if not keys:
            return None
        found = [
            (np.array(self._positions[k], np.int32), np.array(self._counts[k], np.float32) * keys[k]) for k in keys
        ]
        if len(found) == 1:
            return Posting(*found[0])
        places = np.unique(np.concatenate([positions for positions, _ in found]))
        counts = np.zeros(len(places), dtype=np.float32)
        for positions, some in found:
            where = np.searchsorted(places, positions)
            counts[where] = np.maximum(counts[where], some)
        return Posting(places, counts)

    def _loose(self, word: str) -> list[str]:
        """Return the terms and forms of words that a word is a part of, and of its own two parts."""
        found: list[str] = []
        joined = is_joined(word)
        for label, compounds in self._compounds.items():
            if joined != (label == ""):
                continue
            stem = str if joined else stemmer(label)
            head = "" if joined else f"{FORM}{label}:"
            found += [head + around for around in compounds.around(stem(word))]
            if len(word) >= compounds.long and head + stem(word) not in self._positions:
                known = _With(head, self._positions)
                found += [head + part for part in split(word, stem, known, compounds.part)]
        return found


class _With:
    """The words of an index whose keys begin with a head."""

    def __init__(self, head: str, keys: Container[str]) -> None:
        self._head, self._keys = head, keys

    def __contains__(self, word: object) -> bool:
        return f"{self._head}{word}" in self._keys


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
