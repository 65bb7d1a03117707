"""Approximate search by a graph in RAM: HNSW of the library usearch, the extra `ann`.

Malkov and Yashunin, arXiv 1603.09320. Of the libraries, usearch (Apache-2.0) has wheels for Python 3.11 to 3.14 on Linux,
macOS and Windows (2 MB and 10 MB of kernels), removes keys and takes their slots again, and opens a file memory-mapped.
hnswlib (Apache-2.0) comes as source only and never frees a removed vector; HNSW in faiss-cpu (MIT, 30 MB) cannot remove.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np

from mnemos.distribution import install_command
from mnemos.errors import IndexDamaged, MnemosError
from mnemos.index import files
from mnemos.index.base import Keys, Neighbours, Vectors, among, best, checked, checked_query, unit
from mnemos.index.mapped import exact
from mnemos.registry import Paper, register

KIND = "hnsw"
EXTRA = "ann"
SPARE = (1 << 63) - 1  # the key under which a removed vector is overwritten
FEW = 2_000  # allowed keys that are compared one by one
FIRST = 4  # times k that a filtered search asks for; each round asks for four times as many


@register(
    "hnsw",
    papers=(
        Paper(
            "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World graphs",
            "1603.09320",
        ),
    ),
    task="indexes",
    baselines=("exact",),
)
class HnswIndex:
    """Walks a graph of near neighbours: O(log N) comparisons a search, all vectors in RAM as float16.

    Malkov and Yashunin, arXiv 1603.09320; parameters are usearch's, with a wider search. `allowed` is applied to what is
    found, with more asked for until enough are left; up to 2,000 allowed keys are compared one by one.
    """

    def __init__(
        self,
        dimension: int,  # numbers a vector
        connectivity: int = 16,  # links a vector, the paper's M
        expansion: int = 128,  # candidates held while adding and searching, the paper's ef
    ) -> None:
        self.connectivity = connectivity
        self.expansion = expansion
        self._index = _library().Index(
            ndim=dimension,
            metric="cos",
            dtype="f16",
            connectivity=connectivity,
            expansion_add=expansion,
            expansion_search=expansion,
        )

    def __len__(self) -> int:
        return len(self._index)

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        return int(self._index.ndim)

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM."""
        return int(self._index.memory_usage)

    def keys(self) -> Keys:
        """Return all keys, ascending."""
        return np.sort(self._index.keys[:].astype(np.int64)) if len(self) else np.zeros(0, np.int64)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add vectors under keys, about 3,000 a second; see `VectorIndex`."""
        keys, rows = checked(keys, vectors, self.dimension)
        if len(keys):
            self.remove(keys)
            self._index.add(keys.astype(np.uint64), rows, threads=1)

    def remove(self, keys: Keys) -> int:
        """Remove keys and return how many were there. The place of each vector is overwritten with another one at once."""
        here = [int(key) for key in np.asarray(keys, dtype=np.int64) if key >= 0 and int(key) in self._index]
        for key in here:
            self._index.remove(key)
            filler = (
                self._nearest(unit(np.ones(self.dimension, np.float32)), 1).keys if len(self) else np.zeros(0, np.int64)
            )
            other = self._index.get(int(filler[0])) if len(filler) else np.ones(self.dimension)
            self._index.add(SPARE, np.asarray(other, dtype=np.float32))  # takes the slot that has become free
            self._index.remove(SPARE)
        return len(here)

    def search(self, query: Vectors, k: int, allowed: Keys | None = None) -> Neighbours:
        """Return about the `k` nearest keys; see `VectorIndex`."""
        vector = checked_query(query, self.dimension)
        if not len(self) or k < 1 or (allowed is not None and not len(allowed)):
            return Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32))
        if allowed is None:
            return self._nearest(vector, k)
        if len(allowed) <= FEW:
            here = np.array([key for key in allowed.tolist() if key in self._index], dtype=np.int64)
            rows = np.array([self._index.get(int(key)) for key in here], dtype=np.float32)
            return exact(vector, here, rows.reshape(-1, self.dimension), k)
        wanted = FIRST * k
        while True:
            found = self._nearest(vector, min(wanted, len(self)))
            fit = among(found.keys, allowed)
            if fit.sum() >= k or wanted >= len(self):
                return Neighbours(found.keys[fit][:k], found.scores[fit][:k])
            wanted *= 4

    def _nearest(self, vector: Any, k: int) -> Neighbours:
        found = self._index.search(vector, k, threads=1)
        return best(found.keys.astype(np.int64), 1 - np.asarray(found.distances, dtype=np.float32), k)

    def save(self, folder: Path) -> None:
        """Write the graph with its vectors as one file; see `VectorIndex`."""
        folder.mkdir(parents=True, exist_ok=True)
        number = files.generation(folder) + 1
        name = f"graph-{number:06}.usearch"
        self._index.save(str(folder / name))
        files.sync(folder / name)
        about = {"dimension": self.dimension, "connectivity": self.connectivity, "expansion": self.expansion}
        files.commit(folder, KIND, number, {name: None}, about | {"keys": len(self)})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read what `save` wrote and compare it with its checksum; see `VectorIndex`."""
        saved = files.read(folder, KIND)
        about = dict(saved.about)
        count = about.pop("keys")
        index = cls(**about)
        (name,) = saved.files
        if files.checksum(folder / name) != saved.files[name][1]:
            raise IndexDamaged(f"{folder / name} was changed or damaged: make the index again from its rows.")
        index._index.load(str(folder / name))
        if len(index) != count:
            raise IndexDamaged(f"{folder / name} has {len(index)} keys instead of {count}: make the index again.")
        return index


def _library() -> Any:
    try:
        import usearch.index
    except ModuleNotFoundError as error:
        raise MnemosError(f"HNSW needs usearch: {install_command(EXTRA)}.") from error
    return usearch.index
