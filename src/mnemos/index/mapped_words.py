"""An inverted index whose postings lie in memory-mapped files, with the newest documents in RAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemos.index import files
from mnemos.index.lexical import CUT_FORM, HALF, ONE, LexicalIndex, Posting, united
from mnemos.index.terms import forms

Floats = NDArray[np.float32]
NAMES = ("hashes", "starts", "positions", "counts", "lengths")
MOST = 255  # times that a term counts in a document


class MappedWords:
    """Implements `WordIndex` for documents that would not fit into RAM as Python objects: 5 bytes a distinct term.

    Terms are known by 8 bytes of their BLAKE2b hash, so that no file has a word. `merge` writes what was added since into
    the files; before, it is held as `LexicalIndex` holds it. Parts of compounds and of words in scripts without spaces
    are found in the newest documents only: the vocabulary that they are looked for in is not kept.
    """

    def __init__(self) -> None:
        self._recent = LexicalIndex()
        self._hashes = np.zeros(0, dtype=np.uint64)  # (V,) ascending
        self._starts = np.zeros(1, dtype=np.int64)  # (V + 1,) where the postings of each term begin
        self._positions = np.zeros(0, dtype=np.int32)  # (P,) ascending within a term
        self._counts = np.zeros(0, dtype=np.uint8)
        self._lengths = np.zeros(0, dtype=np.int32)  # (N,)
        self.tags: frozenset[str] = frozenset()  # of the forms that there are

    def __len__(self) -> int:
        return len(self._lengths) + len(self._recent)

    @property
    def recent(self) -> int:
        """Documents that are not in files yet."""
        return len(self._recent)

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        return self._hashes.nbytes + self._starts.nbytes + self._lengths.nbytes + self._recent.nbytes

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Append documents, each a sequence of terms and forms."""
        self._recent.add(documents)

    def lengths(self, start: int = 0) -> Floats:
        """Return the number of terms of each document from `start` on; forms do not count."""
        old = self._lengths[start:].astype(np.float32)
        return np.concatenate([old, self._recent.lengths(max(start - len(self._lengths), 0))])

    def postings(self, most: int) -> Iterator[NDArray[np.int32]]:
        """Yield nothing: links of shared rare words are not made in a large space."""
        return iter(())

    def posting(self, word: str, alive: NDArray[np.bool_] | None = None) -> Posting | None:
        """Return the documents that have a word, in any of its forms; None where none has it. O(df)."""
        found = [posting for key in forms(word, self.tags) if (posting := self._of(key)) is not None]
        base = len(self._lengths)
        if (new := self._recent.posting(word, None if alive is None else alive[base:])) is not None:
            found.append(Posting(new.positions + np.int32(base), new.counts))
        return united(found)

    def posting_since(self, word: str, start: int) -> Posting | None:
        """Return the documents from `start` on, none of them in files, that have a word."""
        base = len(self._lengths)
        found = self._recent.posting(word)
        if found is None or not len(new := found.positions[found.positions >= start - base]):
            return None
        return Posting(new + np.int32(base), found.counts[len(found.positions) - len(new) :])

    def _of(self, key: str) -> Posting | None:
        at = self._range(key)
        if not len(at):
            return None
        weight = HALF if key.startswith(CUT_FORM) else ONE
        kept = self._counts[at.start : at.stop] > 0  # 0: erased
        counts = self._counts[at.start : at.stop][kept].astype(np.float32) * weight
        return Posting(np.asarray(self._positions[at.start : at.stop])[kept], counts)

    def _range(self, key: str) -> range:
        wanted = hashed(key)
        at = int(np.searchsorted(self._hashes, wanted))
        if at == len(self._hashes) or self._hashes[at] != wanted:
            return range(0)
        return range(int(self._starts[at]), int(self._starts[at + 1]))

    def holds(self, document: int, terms: Sequence[str]) -> bool:
        """Tell whether a document has these terms, as far as its length says for one that is in the files."""
        if document >= len(self._lengths):
            return self._recent.holds(document - len(self._lengths), terms)
        return int(self._lengths[document]) == sum(not term.startswith("+") for term in terms)

    def purge(self, documents: Sequence[int]) -> None:
        """Forget all terms of some documents, which keep their numbers: a scan, 50 ms for 20 million. `save` writes it."""
        base = len(self._lengths)
        self._recent.purge([d - base for d in documents if d >= base])
        old = np.array([d for d in documents if d < base], dtype=np.int32)
        if not len(old):
            return
        hits = np.flatnonzero(np.isin(self._positions, old))
        self._counts[hits] = 0
        self._lengths[old] = 0
        terms = np.unique(np.searchsorted(self._starts, hits, side="right") - 1)
        for (
            term
        ) in terms.tolist():  # one that nothing has any longer is named like the one before, which is found first
            if not self._counts[self._starts[term] : self._starts[term + 1]].any():
                self._hashes[term] = self._hashes[term - 1] if term else np.uint64(0)

    def merge(self) -> None:
        """Take the newest documents over into the arrays, which `save` writes. O(postings)."""
        base = len(self._lengths)
        keys, positions, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)], [np.zeros(0, np.uint8)]
        for term, posting in self._recent.every():
            keys.append(np.full(len(posting.positions), hashed(term), dtype=np.uint64))
            positions.append(posting.positions + np.int32(base))
            counts.append(np.minimum(posting.counts, MOST).astype(np.uint8))
        alive = self._counts > 0
        old = np.repeat(self._hashes, np.diff(self._starts))[alive]
        every = np.concatenate([old, *keys])
        order = np.argsort(every, kind="stable")
        every = every[order]
        self._positions = np.concatenate([self._positions[alive], *positions])[order]
        self._counts = np.concatenate([self._counts[alive], *counts])[order]
        self._hashes, starts = np.unique(every, return_index=True)
        self._starts = np.append(starts, len(every)).astype(np.int64)
        self._lengths = np.concatenate([self._lengths, self._recent.lengths().astype(np.int32)])
        self.tags |= self._recent.tags
        self._recent = LexicalIndex()

    def save(self, folder: Path, number: int) -> list[str]:
        """Write the arrays, memory-map the postings, and return the names of the files."""
        names = [f"{name}-{number:06}.npy" for name in NAMES]
        for name, file in zip(NAMES, names, strict=True):
            files.write_array(folder / file, getattr(self, f"_{name}"))
        self.open(folder, number)
        return names

    def open(self, folder: Path, number: int) -> None:
        """Memory-map the postings that `save` wrote; the other arrays are read."""
        for name in NAMES:
            path = folder / f"{name}-{number:06}.npy"
            mapped = name in ("positions", "counts")
            array = np.load(path, mmap_mode="c", allow_pickle=False) if mapped else np.load(path, allow_pickle=False)
            setattr(self, f"_{name}", np.asarray(array))


def hashed(term: str) -> np.uint64:
    """Return the number under which a term is kept."""
    return np.uint64(int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"))
