"""Pseudo-relevance feedback: the question is moved towards what it found first, and asked again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.base import Floats, Ints
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.query import Query


@register(
    "rocchio",
    papers=(
        Paper(
            "Improving Query Representations for Dense Retrieval with Pseudo Relevance Feedback: A Reproducibility Study",
            "2112.06400",
            code="ielab/APR",
        ),
        Paper(
            "Pseudo Relevance Feedback with Deep Language Models and Dense Retrievers: Successes and Pitfalls",
            "2108.11044",
        ),
    ),
    baselines=("cosine",),
)
@dataclass(frozen=True, slots=True)
class Rocchio:
    """Rank by cosine, move the question towards the mean of the best k, and rank again: q' = alpha q + beta mean(top k).

    Nothing is trained. It helps where a question is short and many texts answer it, and harms where one text does, the more the
    larger k is: what is asked drifts to what was found. Two passes over the vectors, O(N D) each.
    """

    k: int = 3  # texts of the first ranking that count as relevant
    alpha: float = 0.4  # weight of the question
    beta: float = 0.6  # weight of their mean

    uses_vector: ClassVar[bool] = True

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 where the question or a cube has no vector."""
        first = Cosine().rank(view, query)
        if query.vector is None:
            return first
        best = best_of(first.scores, view.corpus.vectors.present, self.k)
        if not len(best):
            return first
        moved = moved_towards(
            np.asarray(query.vector, np.float32), view.corpus.vectors.rows[best], self.alpha, self.beta
        )
        return Cosine().rank(view, replace(query, vector=moved))


def best_of(scores: Floats, present: NDArray[np.bool_], k: int) -> Ints:
    """Return the positions of the k best shown texts with a vector, best first, among equals the newest."""
    there = np.flatnonzero(np.isfinite(scores) & present)
    return there[np.lexsort((-there, -scores[there]))][:k]


def moved_towards(question: Floats, texts: Floats, alpha: float, beta: float) -> Floats:
    """Return alpha q + beta mean(texts), with q scaled to length 1."""
    unit = question / max(float(np.linalg.norm(question)), 1e-9)
    return np.asarray(alpha * unit + beta * texts.mean(axis=0), dtype=np.float32)
