"""The contract of a vector index: keys and vectors in, the nearest keys out.

`N` vectors, `D` numbers a vector, `k` neighbours. An index is made from rows that are stored elsewhere and can be made
again from them at any time: it is never the truth itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import InvalidInput

Keys = NDArray[np.int64]  # of rows, 0 or more each
Floats = NDArray[np.float32]
Vectors = NDArray[np.floating]  # float16 or float32


class Neighbours(NamedTuple):
    """What a search found, the nearest first."""

    keys: Keys  # (k,) or fewer
    scores: Floats  # (k,) cosines with the query


class VectorIndex(Protocol):
    """Finds the vectors nearest to a query by cosine, exactly or approximately.

    `add`, `remove` and `save` need the caller's lock; searches may run in several threads between them. A search sees what
    was added and removed before it began, saved or not.
    """

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM, without memory-mapped files."""

    def __len__(self) -> int:
        """Return the number of keys."""

    def keys(self) -> Keys:
        """Return all keys, ascending."""

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add vectors (N, D) of any length under keys (N,); a key that is there gets the new vector.

        Raises InvalidInput for keys below 0 or given twice, another dimension, and numbers that are not finite.
        """

    def remove(self, keys: Keys) -> int:
        """Remove keys; return how many were there. After the next `save` no file has the bytes of their vectors."""

    def search(self, query: Vectors, k: int, allowed: Keys | None = None) -> Neighbours:
        """Return the `k` nearest keys to a query (D,), or fewer where there are fewer.

        `allowed`: ascending keys; others are not returned. Raises InvalidInput for another dimension.
        """

    def save(self, folder: Path) -> None:
        """Write the index to a folder of its own; a crash leaves the former one. Raises IndexDamaged, OSError."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `save` wrote. Raises IndexDamaged for what is missing, cut off or changed: make the index again."""


KINDS = {"vector index": VectorIndex}


def checked(keys: Keys, vectors: Vectors, dimension: int) -> tuple[Keys, Floats]:
    """Return keys (N,) and unit vectors (N, D). Raises InvalidInput as `VectorIndex.add` says."""
    keys = np.asarray(keys, dtype=np.int64)
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dimension or keys.shape != rows.shape[:1]:
        raise InvalidInput(
            f"vectors of shape {rows.shape} under keys of shape {keys.shape}: give (N, {dimension}) under (N,)."
        )
    if len(keys) and keys.min() < 0:
        raise InvalidInput(f"key {keys.min()} is negative: keys are 0 or more.")
    if len(np.unique(keys)) < len(keys):
        raise InvalidInput("a key is given twice: give each key once.")
    rows = unit(rows)
    if not np.isfinite(rows).all():
        bad = keys[~np.isfinite(rows).all(axis=1)][0]
        raise InvalidInput(f"the vector of key {bad} has numbers that are not finite.")
    return keys, rows


def unit(vectors: Vectors) -> Floats:
    """Return vectors (..., D) of length 1; zeros stay zeros."""
    rows = np.asarray(vectors, dtype=np.float32)
    scaled: Floats = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-9))
    return scaled


def checked_query(query: Vectors, dimension: int) -> Floats:
    """Return a query (D,) of length 1. Raises InvalidInput for another dimension or numbers that are not finite."""
    vector = unit(query)
    if vector.shape != (dimension,):
        raise InvalidInput(f"a query of shape {vector.shape}: give ({dimension},).")
    if not np.isfinite(vector).all():
        raise InvalidInput("the query has numbers that are not finite.")
    return vector


def among(keys: Keys, allowed: Keys) -> NDArray[np.bool_]:
    """Return which keys (N,) are among ascending ones. O(N log allowed)."""
    if not len(allowed):
        return np.zeros(len(keys), dtype=bool)
    at = np.searchsorted(allowed, keys)
    found: NDArray[np.bool_] = allowed[np.minimum(at, len(allowed) - 1)] == keys
    return found


def best(keys: Keys, scores: Floats, k: int) -> Neighbours:
    """Return the `k` highest scores, each key once, the lower key first among equals."""
    if len(scores) > 4 * k:
        near = np.argpartition(scores, len(scores) - 4 * k)[-4 * k :] if k else np.zeros(0, np.int64)
        if len(np.unique(keys[near])) >= min(k, len(keys)):
            keys, scores = keys[near], scores[near]
    order = np.lexsort((keys, -scores))
    keys, scores = keys[order], scores[order]
    _, first = np.unique(keys, return_index=True)
    chosen = np.sort(first)[:k]
    return Neighbours(keys[chosen], scores[chosen])
