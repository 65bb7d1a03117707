"""Search in codes in RAM, then in the vectors of the best on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mnemos.index import files
from mnemos.index.base import Keys, Neighbours, Vectors, checked, checked_query
from mnemos.index.codes.base import Coder
from mnemos.index.codes.bits import BitCoder
from mnemos.index.codes.product import ProductCoder
from mnemos.index.codes.scalar import ScalarCoder
from mnemos.index.mapped import MappedIndex
from mnemos.registry import register

KIND = "coded"
DEPTH = 100  # candidates whose vectors are read
CODERS = {each.__name__: each for each in (BitCoder, ProductCoder, ScalarCoder)}


@register(
    "coded",
    task="codes",
    baselines=("exact",),
)
class CodedIndex:
    """Ranks codes in RAM and compares the best 100 with the query by their vectors, which are memory-mapped.

    Ours, of any `Code`: codes are encoded when a vector is added, and never again. A search costs a scan of the codes and
    100 reads of 2 D bytes; recall is that of the code among its first 100.
    """

    def __init__(
        self,
        coder: Coder,  # what encodes, already fitted
        dimension: int,  # numbers a vector
        depth: int = DEPTH,  # candidates whose vectors are read, at least k
    ) -> None:
        self.coder = coder
        self.depth = depth
        self.exact = MappedIndex(dimension)
        self._keys = np.zeros(0, dtype=np.int64)
        self._codes = coder.encode(np.zeros((0, dimension), dtype=np.float32))

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        return self.exact.dimension

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM: codes, keys, the coder, and vectors that are not saved."""
        coder = sum(array.nbytes for array in self.coder.arrays().values())
        return self._keys.nbytes + self._codes.nbytes + coder + self.exact.nbytes

    def keys(self) -> Keys:
        """Return all keys, ascending."""
        return self._keys

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Encode vectors and add them under keys; see `VectorIndex`."""
        keys, rows = checked(keys, vectors, self.dimension)
        self.remove(keys)
        self.exact.add(keys, rows)
        every = np.concatenate([self._keys, keys])
        order = np.argsort(every)
        self._codes = np.concatenate([self._codes, self.coder.encode(rows)])[order]
        self._keys = every[order]

    def remove(self, keys: Keys) -> int:
        """Remove keys with their codes; return how many were there."""
        left = ~np.isin(self._keys, keys)
        self._keys, self._codes = self._keys[left], self._codes[left]
        return self.exact.remove(keys)

    def search(self, query: Vectors, k: int, allowed: Keys | None = None) -> Neighbours:
        """Return about the `k` nearest keys, with exact cosines; see `VectorIndex`."""
        vector = checked_query(query, self.dimension)
        keys, codes = self._keys, self._codes
        if allowed is not None:
            places = np.flatnonzero(np.isin(keys, allowed))
            keys, codes = keys[places], codes[places]
        depth = max(self.depth, k)
        if len(keys) > depth:
            scores = self.coder.scores(codes, vector)
            keys = np.sort(keys[np.argpartition(-scores, depth - 1)[:depth]])
        return self.exact.search(vector, k, keys)

    def save(self, folder: Path) -> None:
        """Write codes, coder and vectors; see `VectorIndex`."""
        self.exact.save(folder / "vectors")
        number = files.generation(folder) + 1
        arrays: dict[str, NDArray[Any]] = {"keys": self._keys, "codes": self._codes, **self.coder.arrays()}
        names = {f"{name}-{number:06}.npy": None for name in arrays}
        for name, array in arrays.items():
            files.write_array(folder / f"{name}-{number:06}.npy", array)
        about = {"coder": type(self.coder).__name__, "depth": self.depth, "dimension": self.dimension}
        files.commit(folder, KIND, number, names, about)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `save` wrote; codes that are older than the vectors are made again. See `VectorIndex`."""
        saved = files.read(folder, KIND)
        arrays = {name.rpartition("-")[0]: np.array(files.load(folder, saved, name)) for name in saved.files}
        keys, codes = arrays.pop("keys"), arrays.pop("codes")
        index = cls(CODERS[saved.about["coder"]](**arrays), saved.about["dimension"], saved.about["depth"])
        index._keys, index._codes = keys, codes
        index.exact = MappedIndex.open(folder / "vectors")
        if not np.array_equal(index.exact.keys(), keys):  # a crash between the two parts
            index._keys, rows = index.exact.everything()
            index._codes = index.coder.encode(rows)
        return index
