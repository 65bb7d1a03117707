"""Recency and relevance: the cosine of a memory, and how recently it was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mnemos.registry import register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.latest import SCM
from mnemos.text.recall.query import Query


@register(
    "recency-relevance",
    baselines=("cosine",),
    unmeasured="`mnemos bench systems` measures it within scm",
    papers=(SCM,),
)
@dataclass(frozen=True, slots=True)
class RecencyRelevance:
    """Rank by the sum of relevance and recency: cos(q, m) + weight * decay^age, age in turns since it was told. O(N D).

    Deviation: the constants are ours, chosen so that a turn of today never hides an old one that is asked for in its
    words.
    """

    uses_vector: ClassVar[bool] = True
    weight: float = 0.1  # of recency; 0 is the cosine alone
    decay: float = 0.98  # a turn: half of the recency is gone after 34

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; the recency alone where the question or a cube has no vector."""
        corpus = view.corpus
        cosine = np.zeros(len(corpus), np.float32) if query.vector is None else corpus.vectors.scores(query.vector)
        places = np.lexsort((corpus.keys, corpus.at))
        age = np.empty(len(corpus), dtype=np.float32)
        age[places] = np.arange(len(corpus) - 1, -1, -1)
        recency = (self.weight * np.power(np.float32(self.decay), age)).astype(np.float32)
        scores = view.visible(cosine + recency)
        return Ranking(scores, lambda at: [{"cosine": float(cosine[i]), "recency": float(recency[i])} for i in at])
