"""Vectors alone: the cosine of the question and each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.query import Query


@register(
    "cosine",
    papers=(
        Paper(
            "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
            "1908.10084",
            code="UKPLab/sentence-transformers",
        ),
        Paper(
            "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers",
            "2002.10957",
            code="microsoft/unilm",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Cosine:
    """Rank by the cosine of the question's vector and each text's: the baseline of every dense search. O(N D)."""

    uses_vector: ClassVar[bool] = True

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 where the question or a cube has no vector."""
        corpus = view.corpus
        found = np.zeros(len(corpus), np.float32) if query.vector is None else corpus.vectors.scores(query.vector)
        scores = view.visible(found)
        return Ranking(scores, lambda positions: [{"cosine": float(scores[i])} for i in positions])
