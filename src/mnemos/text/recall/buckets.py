"""Buckets: locality-sensitive hashing, so that a question is compared with a small part of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.query import Query

TIM = Paper("Think-in-Memory: Recalling and Post-thinking Enable LLMs with Long-Term Memory", "2311.08719")


@register(
    "buckets",
    baselines=("cosine",),
    unmeasured="`mnemos bench systems` measures it within tim",
    papers=(TIM,),
)
@dataclass(frozen=True, slots=True)
class Buckets:
    """Rank by cosine inside the bucket of the question: h(x) = argmax([xR; -xR]), R random, (D, buckets / 2).

    The rows' buckets are computed once, when they are first searched. A question is compared with N / buckets rows.

    Deviation: where its bucket is small, the next nearest ones are searched too, until `least` memories were compared: a
    small space is searched as a whole, and no question goes without an answer.
    """

    uses_vector: ClassVar[bool] = True
    buckets: int = 16  # b of the paper, an even number
    least: int = 100  # memories that are compared, at least
    seed: int = 0  # of R

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 for what was not compared."""
        scores = np.zeros(len(view.corpus), dtype=np.float32)
        if query.vector is not None and view.corpus.vectors.rows.shape[1]:
            places = self.compared(view, query.vector)
            unit = query.vector / max(float(np.linalg.norm(query.vector)), 1e-9)
            scores[places] = view.corpus.vectors.take(places) @ unit.astype(np.float32)
        found = view.visible(scores)
        return Ranking(found, lambda positions: [{"cosine": float(found[i])} for i in positions])

    def compared(self, view: View, vector: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the positions that a question is compared with."""
        vectors = view.corpus.vectors
        rotation = self.rotation(vectors.rows.shape[1])
        own = vectors.labels(("buckets", self.buckets, self.seed), lambda rows: self.hashes(rows, rotation))
        usable = view.shown & vectors.present
        sizes = np.bincount(own[usable], minlength=self.buckets)
        order = np.argsort(-_affinity(np.asarray(vector, dtype=np.float32)[None], rotation)[0], kind="stable")
        need = int(np.searchsorted(np.cumsum(sizes[order]), min(self.least, int(usable.sum())))) + 1
        return np.flatnonzero(usable & np.isin(own, order[:need]))

    def rotation(self, dimension: int) -> NDArray[np.float32]:
        """Return R, (D, buckets / 2), the same for the same seed."""
        return np.random.default_rng(self.seed).standard_normal((dimension, self.buckets // 2), dtype=np.float32)

    def hashes(self, rows: NDArray[np.float32], rotation: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the bucket of each row, (N,)."""
        nearest: NDArray[np.int64] = np.argmax(_affinity(rows, rotation), axis=1)
        return nearest


def _affinity(rows: NDArray[np.float32], rotation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how near each row is to each bucket, (N, buckets)."""
    near = rows @ rotation
    found: NDArray[np.float32] = np.concatenate([near, -near], axis=1)
    return found
