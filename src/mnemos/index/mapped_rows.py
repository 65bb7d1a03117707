"""Vectors by row in a memory-mapped file, with the newest in RAM: for a few rows at a time, never for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemos.index import files
from mnemos.index.exact import ExactIndex, unit, unit_rows
from mnemos.index.growing import Growing

BLOCK = 16_384  # rows that are read at a time
CLOSE = 2e-3  # difference of a number after rounding to float16


class MappedRows(ExactIndex):
    """Holds unit vectors as float16 in a file, 2 N D bytes, and what is known of their distribution.

    The mean and the spread of the cosines of a query with all of them follow from their sum and their second moments,
    D^2 numbers. Of a long text only the vector of the whole is kept.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self._old: NDArray[np.float16] = np.zeros((0, dimension), dtype=np.float16)  # in the file
        self._new = Growing(np.zeros((0, dimension), dtype=np.float16))
        self._there = Growing(np.zeros(0, dtype=np.bool_))
        self.total = np.zeros(dimension)
        self.square = np.zeros((dimension, dimension))

    def __len__(self) -> int:
        return len(self._there.array)

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        return self._new.array.nbytes + len(self) + self.square.nbytes

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each row has a vector, (N,)."""
        return self._there.array

    @property
    def rows(self) -> NDArray[np.float32]:
        """All vectors, (N, D): reads the file."""
        return self.take(np.arange(len(self)))

    def take(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return some of the vectors, (M, D)."""
        found = np.empty((len(rows), self.dimension), dtype=np.float32)
        old = rows < len(self._old)
        found[old] = self._old[rows[old]]
        found[~old] = self._new.array[rows[~old] - len(self._old)]
        return found

    def scores(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the cosine of `query` (D,) and every row, (N,): reads the file, a block at a time."""
        blocks = (np.arange(start, min(start + BLOCK, len(self))) for start in range(0, len(self), BLOCK))
        parts = [np.vecdot(self.take(block), unit(query)) for block in blocks]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def foresee(self, query: NDArray[np.floating]) -> None:
        """Do nothing: few rows are compared with a query."""

    def spread(self, query: NDArray[np.floating]) -> tuple[float, float]:
        """Return the mean and the standard deviation of the cosines of a query with all vectors."""
        count, vector = max(int(self.present.sum()), 1), unit(query).astype(np.float64)
        mean = float(self.total @ vector) / count
        return mean, max(float(vector @ self.square @ vector) / count - mean * mean, 0.0) ** 0.5

    def add(self, vectors: Sequence[NDArray[np.float16] | None]) -> None:
        """Append vectors, (1 + parts, D) or (D,) each; the row of None never matches."""
        rows = np.zeros((len(vectors), self.dimension), dtype=np.float16)
        there = np.array([v is not None for v in vectors], dtype=bool)
        if there.any():
            rows[there] = unit_rows([v if v.ndim == 1 else v[0] for v in vectors if v is not None])
        self._count(rows[there], 1)
        self._new.extend(rows)
        self._there.extend(there)

    def _count(self, rows: NDArray[np.floating], by: int) -> None:
        block = rows.astype(np.float32)
        self.total += by * block.sum(axis=0, dtype=np.float64)
        self.square += by * (block.T @ block).astype(np.float64)

    def holds(self, row: int, vector: NDArray[np.float16] | None) -> bool:
        """Tell whether a row has this vector, or none."""
        if vector is None or not self.present[row]:
            return vector is None and not self.present[row]
        wanted = unit_rows([vector if vector.ndim == 1 else vector[0]])[0]
        return bool(np.abs(self.take(np.array([row]))[0] - wanted).max() < CLOSE)

    def purge(self, rows: NDArray[np.integer]) -> None:
        """Overwrite the vectors of some rows; the next `save` writes it."""
        self._count(self.take(rows[self.present[rows]]), -1)
        old = rows[rows < len(self._old)]
        if len(old):
            self._old[old] = 0
        self._new.array[rows[rows >= len(self._old)] - len(self._old)] = 0
        self.present[rows] = False

    def save(self, folder: Path, number: int) -> list[str]:
        """Write all rows to a file, memory-map it, and return the names of the files."""
        rows = f"rows-{number:06}.npy"
        file = np.lib.format.open_memmap(folder / rows, "w+", np.float16, (len(self), self.dimension))
        for start in range(0, len(self._old), BLOCK):
            file[start : min(start + BLOCK, len(self._old))] = self._old[start : start + BLOCK]
        file[len(self._old) :] = self._new.array
        file.flush()
        del file
        names = [f"{name}-{number:06}.npy" for name in ("there", "total", "square")]
        for name, array in zip(names, (self.present, self.total, self.square), strict=True):
            files.write_array(folder / name, array)
        self.open(folder, number)
        return [rows, *names]

    def open(self, folder: Path, number: int) -> None:
        """Memory-map what `save` wrote."""
        self._old = np.asarray(np.load(folder / f"rows-{number:06}.npy", mmap_mode="c", allow_pickle=False))
        self._new = Growing(np.zeros((0, self.dimension), dtype=np.float16))
        there, self.total, self.square = (
            np.load(folder / f"{name}-{number:06}.npy", allow_pickle=False) for name in ("there", "total", "square")
        )
        self._there = Growing(there)
