"""Words alone: BM25 of each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import word_scores


@register(
    "bm25",
    papers=(Paper("The Probabilistic Relevance Framework: BM25 and Beyond"),),
)
@dataclass(frozen=True, slots=True)
class Bm25:
    """Rank by BM25 over the words of each text: the baseline of every search.

    The score is the share of the question's weight, between 0 and 1. O(df) of each term.
    """

    uses_vector: ClassVar[bool] = False

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 where no word of the question occurs."""
        scores = view.visible(word_scores(view.corpus, query))
        return Ranking(scores, lambda positions: [{"bm25": float(scores[i])} for i in positions])
