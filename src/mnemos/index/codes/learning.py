"""What codes that learn a ranking share: batches of queries with near and far vectors.

`b` queries and `m` vectors a batch. The teacher is exact search: of each query its ten nearest vectors are the right ones,
those from the 11th to the 100th are the hard wrong ones, and whatever else the batch holds are easy ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import InvalidInput
from mnemos.index.base import Floats, unit

NEAR, HARD = 10, 100
FEWEST = 2 * HARD


class Batch(NamedTuple):
    """Queries and vectors, and which belong together."""

    queries: Floats  # (b, D)
    vectors: Floats  # (m, D)
    right: NDArray[np.bool_]  # (b, m) among the ten nearest of the query
    places: NDArray[np.int64]  # (m,) of the vectors in what was fitted to


def batches(
    vectors: Floats, questions: Floats | None, steps: int, size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield `steps` batches of `size` queries with two near and four hard vectors each.

    Queries are the questions and as many of the vectors, each moved halfway to a neighbour: what a near question would be.
    Raises InvalidInput for fewer than 200 vectors.
    """
    if len(vectors) < FEWEST:
        raise InvalidInput(f"{len(vectors)} vectors: give {FEWEST} or more to learn a ranking from.")
    count = max(len(questions) if questions is not None else 0, 1_000)
    of = rng.choice(len(vectors), min(count, len(vectors)), replace=False)
    other = _ranked(vectors[of], vectors)[np.arange(len(of)), rng.integers(1, NEAR, len(of))]
    queries = unit(vectors[of] + vectors[other])
    if questions is not None:
        queries = np.concatenate([queries, questions])
    ranked = _ranked(queries, vectors)
    for _ in range(steps):
        chosen = rng.choice(len(queries), min(size, len(queries)), replace=False)
        rows = ranked[chosen]
        near = np.take_along_axis(rows, rng.integers(0, NEAR, (len(chosen), 2)), axis=1)
        hard = np.take_along_axis(rows, rng.integers(NEAR, rows.shape[1], (len(chosen), 4)), axis=1)
        places = np.unique(np.concatenate([near.ravel(), hard.ravel()]))
        right = np.zeros((len(chosen), len(places)), dtype=bool)
        at = np.searchsorted(places, rows[:, :NEAR])
        inside = places[np.minimum(at, len(places) - 1)] == rows[:, :NEAR]
        right[np.nonzero(inside)[0], at[inside]] = True
        yield Batch(queries[chosen], vectors[places], right, places)


def _ranked(queries: Floats, vectors: Floats) -> NDArray[np.int64]:
    """Return the places of the nearest vectors of each query, (Q, 100), the nearest first."""
    found = np.empty((len(queries), HARD), dtype=np.int64)
    for start in range(0, len(queries), 512):
        scores = queries[start : start + 512] @ vectors.T
        at = np.argpartition(-scores, HARD, axis=1)[:, :HARD]
        found[start : start + 512] = np.take_along_axis(at, np.argsort(-np.take_along_axis(scores, at, 1), 1), 1)
    return found


def ranking_gradient(logits: Floats, right: NDArray[np.bool_]) -> Floats:
    """Return the gradient by the logits (b, m) of the mean of -log softmax, over the right ones of each query."""
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    wanted = right / np.maximum(right.sum(axis=1, keepdims=True), 1)
    gradient: Floats = ((likely - wanted) / len(logits)).astype(np.float32)
    return gradient
