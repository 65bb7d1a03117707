"""Exact neighbours, the measure of every index: one pass over all vectors, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.index.base import Floats, Keys, VectorIndex, Vectors

K = 10


def nearest(chunks: Iterable[tuple[Keys, Vectors]], queries: Floats, progress: Progress) -> Keys:
    """Return the keys of the ten nearest vectors of each query, (Q, 10)."""
    keys = np.zeros((len(queries), 0), dtype=np.int64)
    scores = np.zeros((len(queries), 0), dtype=np.float32)
    for some, vectors in chunks:
        found = queries @ vectors.T
        at = np.argpartition(found, -K, axis=1)[:, -K:]
        keys = np.concatenate([keys, some[at]], axis=1)
        scores = np.concatenate([scores, np.take_along_axis(found, at, axis=1)], axis=1)
        order = np.argsort(-scores, axis=1)[:, :K]
        keys, scores = np.take_along_axis(keys, order, axis=1), np.take_along_axis(scores, order, axis=1)
        progress(len(some))
    return keys


def recall(index: VectorIndex, queries: Floats, truth: Keys) -> float:
    """Return the share of the ten nearest that an index finds among its first ten."""
    found = [np.isin(index.search(query, K).keys, right).sum() for query, right in zip(queries, truth, strict=True)]
    return float(np.mean(found)) / K


def least(points: Sequence[tuple[float, float]], wanted: float) -> float | None:
    """Return the cost at which points of (recall, cost), ascending in cost, reach a recall, between two of them in line."""
    for (low, less), (high, more) in pairwise(points):
        if low < wanted <= high:
            return less + (more - less) * (wanted - low) / (high - low)
    return points[0][1] if points and points[0][0] >= wanted else None
