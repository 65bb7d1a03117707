"""Inverted index: postings in memory, scored by BM25."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

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


class WordIndex(Protocol):
    """An inverted index that only grows; documents are numbered from 0 as they are added."""

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Append documents, each a sequence of terms and forms."""

    def lengths(self, start: int = 0) -> Floats:
        """Return the number of terms of each document from `start` on; forms do not count."""

    def postings(self, most: int) -> Iterator[NDArray[np.int32]]:
        """Yield the positions of terms that occur in 2 to `most` documents."""

    def posting(self, word: str, alive: NDArray[np.bool_] | None = None) -> Posting | None:
        """Return the documents that have a word, in any of its forms; None where none has it."""

    def holds(self, document: int, terms: Sequence[str]) -> bool:
        """Tell whether a document has exactly these terms and forms."""

    def purge(self, documents: Sequence[int]) -> None:
        """Forget all terms of some documents, which keep their numbers."""


class LexicalIndex:
    """An inverted index that only grows; documents are numbered from 0 as they are added.

    A document is what `index_terms` returns. About 8 bytes for each distinct term, or form, of it. Adding costs O(terms).
    """

    def __init__(self) -> None:
        self.tags: frozenset[str] = frozenset()  # of the forms that there are
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
        """Append documents, each a sequence of terms and forms. About 5 us each, of many at once."""
        numbers: defaultdict[str, int] = defaultdict(count().__next__)  # of the terms of this call
        sizes: list[int] = []
        found = array("i")
        for terms in documents:
            sizes.append(len(terms))
            found.extend(map(numbers.__getitem__, terms))
        places = np.repeat(np.arange(len(self), len(self) + len(sizes)), sizes)
        every, stop = np.frombuffer(found, dtype=np.int32), len(self) + len(sizes)
        plain = np.array([not term.startswith(FORM) for term in numbers], dtype=bool)
        lengths = np.bincount(places[plain[every]] - len(self), minlength=len(sizes))
        pairs, counts = np.unique(every * np.int64(stop) + places, return_counts=True)
        ends = np.searchsorted(pairs, np.arange(1, len(numbers) + 1) * stop)
        positions, counts = (pairs % stop).astype(np.int32), counts.astype(np.int32)
        start = 0
        for term, end in zip(numbers, ends.tolist(), strict=True):
            if term not in self._positions:
                self._positions[term], self._counts[term] = array("i"), array("i")
                self._note(term)
            self._positions[term].frombytes(positions[start:end].tobytes())
            self._counts[term].frombytes(counts[start:end].tobytes())
            start = end
        self._lengths.frombytes(lengths.astype(np.int32).tobytes())

    def _note(self, term: str) -> None:
        """Take a new term up as a form of a language, or as a word that may hold others."""
        label, word = "", term
        if term.startswith(FORM):
            label, _, word = term[1:].partition(":")
            self.tags |= {label}
        joined = term[:1] >= JOINED_FROM and is_joined(term)
        if joined or label in LANGUAGES:
            self._compounds.setdefault(label, Compounds(joined=joined)).add(word)

    def lengths(self, start: int = 0) -> Floats:
        """Return the number of terms of each document from `start` on; forms do not count."""
        return np.array(self._lengths[start:], dtype=np.float32)

    def holds(self, document: int, terms: Sequence[str]) -> bool:
        """Tell whether a document has exactly these terms and forms. O(terms)."""
        wanted = Counter(terms)
        if self._lengths[document] != sum(times for term, times in wanted.items() if not term.startswith(FORM)):
            return False
        for term, times in wanted.items():
            positions = self._positions.get(term, ())
            at = bisect_left(positions, document)
            if at == len(positions) or positions[at] != document or self._counts[term][at] != times:
                return False
        return True

    def purge(self, documents: Sequence[int]) -> None:
        """Forget all terms of some documents, which keep their numbers. O(vocabulary times documents), and O(postings)."""
        gone = sorted(documents)
        emptied: list[str] = []
        for term, positions in self._positions.items():
            counts = self._counts[term]
            for document in gone:
                at = bisect_left(positions, document)
                if at < len(positions) and positions[at] == document:
                    del positions[at], counts[at]
            if not positions:
                emptied.append(term)
        for term in emptied:
            del self._positions[term], self._counts[term]
        if emptied:
            self.tags, self._compounds = frozenset(), {}
            for term in self._positions:
                self._note(term)
        for document in documents:
            self._lengths[document] = 0

    def postings(self, most: int) -> Iterator[NDArray[np.int32]]:
        """Yield the positions of each term that occurs in 2 to `most` documents. O(terms)."""
        for term, positions in self._positions.items():
            if 2 <= len(positions) <= most and not term.startswith(FORM):
                yield np.array(positions, dtype=np.int32)

    def every(self) -> Iterator[tuple[str, Posting]]:
        """Yield each term or form with its posting."""
        for term, positions in self._positions.items():
            yield term, Posting(np.array(positions, np.int32), np.array(self._counts[term], np.float32))

    def posting(self, word: str, alive: NDArray[np.bool_] | None = None) -> Posting | None:
        """Return the documents that have a word, in any of its forms; None where none has it. O(df).

        Where only its beginning, a longer word with it or the parts of it occur, each counts half. Parts are those of
        words of documents that are `alive`, (N,).
        """
        found_as = (key for key in forms(word, self.tags) if key in self._positions)
        keys = {key: HALF if key.startswith(CUT_FORM) else ONE for key in found_as}
        for key in self._loose(word, alive) if self._compounds else ():
            keys.setdefault(key, HALF)
        return united(
            [
                Posting(np.array(self._positions[k], np.int32), np.array(self._counts[k], np.float32) * keys[k])
                for k in keys
            ]
        )

    def _loose(self, word: str, alive: NDArray[np.bool_] | None) -> list[str]:
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
                known = _With(head, self._positions, alive)
                found += [head + part for part in split(word, stem, known, compounds.part)]
        return found


class _With:
    """The words of documents that are alive, whose keys begin with a head."""

    def __init__(self, head: str, keys: Mapping[str, array[int]], alive: NDArray[np.bool_] | None) -> None:
        self._head, self._keys, self._alive = head, keys, alive

    def __contains__(self, word: object) -> bool:
        positions = self._keys.get(f"{self._head}{word}")
        return positions is not None and (self._alive is None or bool(self._alive[np.array(positions)].any()))


def united(found: Sequence[Posting]) -> Posting | None:
    """Return one posting of several, with the largest count of each document; None of none."""
    if len(found) <= 1:
        return found[0] if found else None
    places = np.unique(np.concatenate([posting.positions for posting in found]))
    counts = np.zeros(len(places), dtype=np.float32)
    for posting in found:
        where = np.searchsorted(places, posting.positions)
        counts[where] = np.maximum(counts[where], posting.counts)
    return Posting(places, counts)


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
