"""MemoRAG: clues from a memory of the whole corpus find what a question does not say in its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mnemos.index.lexical import idf
from mnemos.index.terms import stop_terms
from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import term_posting, word_scores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MEMORAG = Paper(
    "MemoRAG: Moving towards Next-Gen RAG Via Memory-Inspired Knowledge Discovery",
    "2409.05591",
    code="qhjqhj00/MemoRAG",
)


@dataclass(frozen=True, slots=True)
class Clues:
    """Words that the corpus says beside those of a question, as the texts in which they are."""

    places: tuple[Ints, ...]  # the texts of each clue
    strengths: Floats  # how strongly each belongs to the question, the strongest first


@register("memorag", papers=(MEMORAG,), baselines=("bm25", "rocchio"), task="memorag")
@dataclass(frozen=True, slots=True)
class MemoRag:
    """Search with the question and with clues: words that go with its words everywhere in the corpus.

    The paper's memory model reads the whole corpus, keeps it compressed, and writes draft answers, which are used as
    queries. Without a model the memory is what the corpus says together: a word is a clue for a word of the question where
    both are in one text, or in neighbouring ones, more often than by chance (pointwise mutual information, seen at least `seen`
    times). Feedback from the first hits sees only these; clues come from every text that has a word of the question. A
    reasoner with a model can write better drafts: search for them instead.

    What a filter hides gives no clue: a request that is written down after its question was asked, and the answer to it,
    would tell what to look for.

    Cost: one pass over the postings of all words that occur in at most `common` of the texts, 15 ms for 6,000 cubes.
    """

    clues: int = 8  # words that are searched for beside the question
    weight: float = 0.5  # of all clues, relative to the question
    seen: int = 2  # texts that must say both words
    common: float = 0.05  # share of the texts from which on a word is no clue

    uses_vector: ClassVar[bool] = False

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 where neither a word of the question nor a clue occurs."""
        own = word_scores(view.corpus, query)
        found = self.find(view, query)
        guided = np.zeros(len(view.corpus))
        for places, strength in zip(found.places, found.strengths, strict=True):
            guided[places] += strength
        guided *= self.weight / max(float(found.strengths.sum()), 1e-9)
        scores = view.visible((own + guided).astype(np.float32))
        return Ranking(
            scores,
            lambda positions: [{"bm25": float(own[i]), "clues": float(scores[i]) - float(own[i])} for i in positions],
        )

    def find(self, view: View, query: Query) -> Clues:
        """Return the clues for a question among the texts that are shown."""
        corpus, shown = view.corpus, view.shown
        layout, n, count = corpus.layout(), len(corpus), max(int(np.count_nonzero(shown)), 1)
        function_words = {p.positions.tobytes() for w in stop_terms() if (p := corpus.words.posting(w)) is not None}
        asked = [term_posting(corpus, layout, word).positions for word in query.content]
        left_out = function_words | {positions.astype(np.int32).tobytes() for positions in asked}
        asked = [positions[shown[positions]] for positions in asked]
        asked = [positions for positions in asked if 0 < len(positions) <= max(self.common * n, self.seen)]
        words = [
            p.astype(np.int64)
            for p in corpus.words.postings(max(int(self.common * n), 2 * self.seen))
            if len(p) >= self.seen and p.tobytes() not in left_out
        ]
        if not asked or not words:
            return Clues((), np.zeros(0))
        starts, flat = np.r_[0, np.cumsum([len(p) for p in words])[:-1]], np.concatenate(words)
        sizes = np.maximum(np.add.reduceat(shown[flat].astype(np.int64), starts), 1)
        strengths = np.zeros(len(words))
        for positions in asked:
            near = np.zeros(n)
            near[positions] = 1.0
            for step in (-1, 1):
                beside = layout.neighbours[step][positions]
                near[beside[beside >= 0]] = np.maximum(near[beside[beside >= 0]], 0.5)
            near *= shown
            together = np.add.reduceat(near[flat], starts)
            chance = len(positions) * sizes / count
            gain = np.log(np.maximum(together, 1e-9) / chance)
            strengths += np.where(together >= self.seen, np.maximum(gain, 0) * together / (together + 1), 0) * idf(
                count, len(positions)
            )
        best = np.argsort(-strengths, kind="stable")[: self.clues]
        best = best[strengths[best] > 0]
        return Clues(tuple(words[i][shown[words[i]]] for i in best), strengths[best])
