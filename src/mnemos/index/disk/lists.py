"""Posting lists: keys and 8-bit vectors, memory-mapped where they are saved, in RAM where they changed since.

Neighbouring lists share a segment, a pair of files, which is the unit that a save writes again. Of each list the place,
the length and a checksum are known in RAM; the checksum is compared when a list is first read.
"""

from __future__ import annotations

import mmap
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import IndexDamaged
from mnemos.index.base import Floats, Keys

SEGMENT = 65_536  # rows a segment
RESIDENT = 256 << 20  # bytes read after which the pages of the files are released
PLACE = np.dtype([("segment", "<i4"), ("start", "<i4"), ("length", "<i4"), ("sum", "<u4")])


class Postings(NamedTuple):
    """Rows of lists."""

    keys: Keys  # (M,)
    codes: NDArray[Any]  # (M,) of `code_type`

    @property
    def vectors(self) -> Floats:
        """The rows as they are compared, (M, D)."""
        rows: Floats = self.codes["code"].astype(np.float32) * self.codes["scale"][:, None]
        return rows

    def scores(self, query: Floats) -> Floats:
        """Return the products with a query (D,), (M,)."""
        found: Floats = (self.codes["code"].astype(np.float32) @ query) * self.codes["scale"]
        return found


def code_type(dimension: int) -> np.dtype[Any]:
    """Return the type of a row: 8 bits a number, and what to multiply them with."""
    return np.dtype([("scale", "<f4"), ("code", "i1", (dimension,))])


def coded(rows: Floats) -> NDArray[Any]:
    """Return rows (N, D) as codes (N,)."""
    codes = np.empty(len(rows), dtype=code_type(rows.shape[1]))
    codes["scale"] = np.maximum(np.abs(rows).max(axis=1), 1e-9) / 127
    codes["code"] = np.rint(rows / codes["scale"][:, None])
    return codes


def joined(parts: list[Postings], dimension: int) -> Postings:
    """Return several lists as one."""
    keys = np.concatenate([np.zeros(0, np.int64), *(p.keys for p in parts)])
    return Postings(keys, np.concatenate([np.zeros(0, code_type(dimension)), *(p.codes for p in parts)]))


class Lists:
    """The lists of an index by number, each at a place of a segment or, where it changed, in RAM."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.places = np.zeros(0, dtype=PLACE)  # (C,)
        self.fresh: dict[int, Postings] = {}  # lists that changed since the last save
        self.stems: list[str] = []  # names of the segments
        self.segments: list[Postings] = []  # the memory-mapped ones
        self.bytes_read = 0  # of the files, by all calls of `read`
        self._checked = np.zeros(0, dtype=bool)
        self._unreleased = 0

    def __len__(self) -> int:
        return len(self.places)

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM."""
        lists = sum(p.keys.nbytes + p.codes.nbytes for p in self.fresh.values())
        return lists + self.places.nbytes + self._checked.nbytes

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The rows of each list, (C,)."""
        found = self.places["length"].astype(np.int64)
        for number, postings in self.fresh.items():
            found[number] = len(postings.keys)
        return found

    def read(self, number: int) -> Postings:
        """Return a list; its arrays are not to be changed. Raises IndexDamaged."""
        if number in self.fresh:
            return self.fresh[number]
        segment, start, length, _ = self.places[number].tolist()
        if not length:
            return joined([], self.dimension)
        whole = self.segments[segment]
        found = Postings(whole.keys[start : start + length], whole.codes[start : start + length])
        if not self._checked[number]:
            self._check(number, found)
        size = found.keys.nbytes + found.codes.nbytes
        self.bytes_read += size
        self._unreleased += size
        if self._unreleased > RESIDENT:
            self.release()
        return found

    def _check(self, number: int, found: Postings) -> None:
        if summed(found) != self.places["sum"][number]:
            stem = self.stems[self.places["segment"][number]]
            raise IndexDamaged(f"list {number} in {stem} was changed or damaged: make the index again from its rows.")
        self._checked[number] = True

    def unchecked(self) -> None:
        """Compare every list with its checksum when it is next read."""
        self._checked = np.zeros(len(self.places), dtype=bool)

    def replace(self, number: int, postings: Postings) -> None:
        """Give a list other rows."""
        self.fresh[number] = postings

    def append(self, postings: Postings, beside: int = -1) -> int:
        """Add a list, in the segment of another one, and return its number."""
        place = np.zeros(1, dtype=PLACE)
        place["segment"] = self.places["segment"][beside] if beside >= 0 else -1
        self.places = np.concatenate([self.places, place])
        self._checked = np.append(self._checked, True)
        self.fresh[len(self.places) - 1] = postings
        return len(self.places) - 1

    def with_keys(self, keys: Keys) -> list[int]:
        """Return the lists that have any of these ascending keys. Reads all keys, 8 bytes a row."""
        found = [number for number, p in self.fresh.items() if np.isin(p.keys, keys).any()]
        saved = np.setdiff1d(np.flatnonzero(self.places["length"]), list(self.fresh))
        for segment, postings in enumerate(self.segments):
            rows = np.flatnonzero(np.isin(postings.keys, keys))
            here = saved[self.places["segment"][saved] == segment]
            here = here[np.argsort(self.places["start"][here])]
            at = np.searchsorted(self.places["start"][here], rows, side="right") - 1
            inside = (
                (at >= 0) & (rows < (self.places["start"] + self.places["length"])[here[at]]) if len(here) else at < 0
            )
            found += np.unique(here[at[inside]]).tolist() if len(here) else []
        return found

    def all_keys(self) -> Keys:
        """Return the keys of all lists, each once, ascending."""
        saved = np.setdiff1d(np.flatnonzero(self.places["length"]), list(self.fresh))
        parts = [p.keys for p in self.fresh.values()]
        for segment, start, length, _ in self.places[saved].tolist():
            parts.append(self.segments[segment].keys[start : start + length])
        return np.unique(np.concatenate([np.zeros(0, np.int64), *parts]))

    def release(self) -> None:
        """Tell the system that the pages read so far need not stay in the memory of this process."""
        self._unreleased = 0
        advice = getattr(mmap, "MADV_DONTNEED", None)  # not on Windows
        for array in (a for postings in self.segments for a in postings) if advice is not None else ():
            if isinstance(array.base, mmap.mmap):
                array.base.madvise(advice)


def summed(postings: Postings) -> int:
    """Return the checksum of a list."""
    return zlib.crc32(postings.codes.view(np.uint8).data, zlib.crc32(postings.keys.data))
