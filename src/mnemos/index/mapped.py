"""Exact search in memory-mapped vectors: the reference for every other index, and the one for a few thousand rows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import IndexDamaged
from mnemos.index import files
from mnemos.index.base import Floats, Keys, Neighbours, Vectors, best, checked, checked_query
from mnemos.registry import register

KIND = "exact"
SEGMENT = 65_536  # rows a file: what a change writes again
BLOCK = 4_096  # rows that are turned into float32 at a time


class Segment(NamedTuple):
    """Rows in a file, or in RAM where it has no name yet."""

    keys: Keys  # (M,), ascending
    rows: NDArray[np.float16]  # (M, D)
    here: NDArray[np.bool_]  # (M,) False where a row was removed
    name: str = ""  # the stem of its files; none: not saved as it is

    def without(self, keys: Keys) -> tuple[Segment, int]:
        """Return the segment with some ascending keys removed, and how many it had."""
        gone = self.here.copy()
        gone[self.places(keys)] = False
        count = int(self.here.sum() - gone.sum())
        return (Segment(self.keys, self.rows, gone), count) if count else (self, 0)

    def places(self, keys: Keys) -> NDArray[np.int64]:
        """Return where those of some ascending keys are that are here. O(keys log M)."""
        at = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        at = at[self.keys[at] == keys] if len(self.keys) else at[:0]
        found: NDArray[np.int64] = at[self.here[at]]
        return found


@register("exact", task="indexes")
class MappedIndex:
    """Compares a query with every vector: float16 rows in memory-mapped files, or in RAM until they are saved.

    A search reads 2 N D bytes and takes about 25 ms for 100,000 vectors of 384 numbers on one core; with `allowed` it reads
    the allowed rows only. Ours; the scores are those of the rounded vectors, within .0005 of the given ones.
    """

    def __init__(
        self,
        dimension: int,  # numbers a vector
    ) -> None:
        self._dimension = dimension
        self._segments: list[Segment] = []

    def __len__(self) -> int:
        return sum(int(s.here.sum()) for s in self._segments)

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        return self._dimension

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM: the keys, and the rows that are not saved."""
        return sum(
            s.keys.nbytes + s.here.nbytes + (0 if isinstance(s.rows, np.memmap) else s.rows.nbytes)
            for s in self._segments
        )

    def keys(self) -> Keys:
        """Return all keys, ascending."""
        return np.sort(np.concatenate([np.zeros(0, np.int64), *(s.keys[s.here] for s in self._segments)]))

    def everything(self) -> tuple[Keys, Floats]:
        """Return all keys, ascending, and their vectors (N, D)."""
        rows = [np.zeros((0, self._dimension), np.float16), *(s.rows[s.here] for s in self._segments)]
        keys = np.concatenate([np.zeros(0, np.int64), *(s.keys[s.here] for s in self._segments)])
        order = np.argsort(keys)
        return keys[order], np.concatenate(rows)[order].astype(np.float32)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add vectors under keys; see `VectorIndex`."""
        keys, rows = checked(keys, vectors, self._dimension)
        self.remove(keys)
        halves = rows.astype(np.float16)
        if self._segments and not self._segments[-1].name and len(self._segments[-1].keys) + len(keys) <= SEGMENT:
            last = self._segments.pop()
            keys = np.concatenate([last.keys[last.here], keys])
            halves = np.concatenate([last.rows[last.here], halves])
        order = np.argsort(keys)
        for start in range(0, len(keys), SEGMENT):
            some = order[start : start + SEGMENT]
            self._segments.append(Segment(keys[some], halves[some], np.ones(len(some), dtype=bool)))

    def remove(self, keys: Keys) -> int:
        """Remove keys and return how many were there; the rows of a file are marked, and rewritten by `save`."""
        ordered, count = np.sort(np.asarray(keys, dtype=np.int64)), 0
        for number, segment in enumerate(self._segments):
            self._segments[number], found = segment.without(ordered)
            count += found
        return count

    def search(self, query: Vectors, k: int, allowed: Keys | None = None) -> Neighbours:
        """Return the `k` nearest keys, exactly; see `VectorIndex`."""
        vector = checked_query(query, self._dimension)
        found: list[Neighbours] = []
        for segment in list(self._segments):
            where = np.flatnonzero(segment.here) if allowed is None else segment.places(allowed)
            for start in range(0, len(where), BLOCK):
                at = where[start : start + BLOCK]
                whole = at[-1] - at[0] == len(at) - 1  # a slice of a file is read without a copy
                block = segment.rows[at[0] : at[-1] + 1] if whole else segment.rows[at]
                found.append(best(segment.keys[at], block.astype(np.float32) @ vector, k))
        if not found:
            return Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32))
        return best(np.concatenate([f.keys for f in found]), np.concatenate([f.scores for f in found]), k)

    def save(self, folder: Path) -> None:
        """Write the segments that changed; see `VectorIndex`."""
        folder.mkdir(parents=True, exist_ok=True)
        number = files.generation(folder) + 1
        known = files.read(folder, KIND).files if number > 1 else {}
        names: dict[str, tuple[int, int] | None] = {}
        for place, segment in enumerate(self._segments):
            stem = segment.name
            if not stem or f"{stem}.rows.npy" not in known:
                stem = f"{place:06}-{number:06}"
                files.write_array(folder / f"{stem}.keys.npy", segment.keys[segment.here])
                files.write_array(folder / f"{stem}.rows.npy", segment.rows[segment.here])
            names |= {f"{stem}.{part}.npy": known.get(f"{stem}.{part}.npy") for part in ("keys", "rows")}
        files.commit(folder, KIND, number, names, {"dimension": self._dimension})
        self._segments = MappedIndex.open(folder)._segments

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `save` wrote and compare it with its checksums; see `VectorIndex`."""
        saved = files.read(folder, KIND)
        index = cls(saved.about["dimension"])
        stems = sorted({name.partition(".")[0] for name in saved.files})
        for stem in stems:
            keys, rows = (files.load(folder, saved, f"{stem}.{part}.npy") for part in ("keys", "rows"))
            if keys.ndim != 1 or rows.shape != (len(keys), index.dimension):
                raise IndexDamaged(f"{folder / stem} has rows of shape {rows.shape}: make the index again.")
            index._segments.append(Segment(np.array(keys), rows, np.ones(len(keys), dtype=bool), stem))
        return index


def exact(query: Floats, keys: Keys, rows: Floats, k: int) -> Neighbours:
    """Return the `k` nearest of some unit rows (N, D)."""
    return best(keys, rows @ query, k)
