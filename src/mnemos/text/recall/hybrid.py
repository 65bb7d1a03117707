"""Mnemos' own retriever: every signal fused, spread along links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, SessionRanking, View, Why
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.factors import SHAPES, apply
from mnemos.text.recall.fusion import Weights, explain, fuse, model
from mnemos.text.recall.query import Query
from mnemos.text.recall.query_head import QueryHead
from mnemos.text.recall.sessions import session_signals
from mnemos.text.recall.signals import VECTOR_SIGNALS, Read, read
from mnemos.text.recall.spread import spread

CROSSED = 0.05  # share of a space's words in the language of a question, below which the question is from another one
ACROSS = VECTOR_SIGNALS - {"words_and_cosine"} | {"speaker", "took_part", "date", "number", "time", "same"}  # fmt: skip
HARDLY = 0.2  # how well the embedder knows a language below which its cosines say nothing of texts in it
LAST = 0.01  # weight of the cosine there: it orders what has no word of the question
KNOWN = 0.3  # share of the weight of a question in words that the space has, from which the form of a text counts fully


@register(
    "hybrid",
    papers=(Paper("Learning to Rank: From Pairwise Approach to Listwise Approach"),),
)
@dataclass(frozen=True, slots=True)
class Hybrid:
    """Rank by words, vectors, neighbours in talk and time, speaker and date, fused; then spread along links.

    The weights depend on the question and the space and were fitted across sets (see `mnemos.text.recall.fusion`); where
    most cubes have no vector, or the embedder hardly knows the language, those fitted for words alone are used. O(N) per signal.
    """

    uses_vector: ClassVar[bool] = True
    links: bool = True  # whether the score spreads along the links that consolidation made
    head: QueryHead | None = None  # maps the vector of the question, as `Space.tune` has learned it
    factors: Mapping[str, float] = field(default_factory=dict)  # of groups of signals, from there too; 1 where none is

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking. By words alone, a cube with no word of the question nearby and no date is no answer."""
        told, name = self.read(view.corpus, query, view.shown)
        found, shipped = told.signals, _weights("cubes" + name, told)
        by = apply(shipped, self.factors)
        fused = fuse(found, by)
        if "cosine" not in found:
            answers = found["coverage_around"] > 0
            if "time" in found:
                answers |= found["time"] > 0
            fused = np.where(answers, fused, np.float32(-np.inf))
        shown = view.visible(fused)
        graph = view.graph if self.links else None
        scores = shown if graph is None else spread(view.corpus, shown, graph)

        def why(positions: Sequence[int]) -> Why:
            reasons = explain(found, shipped, positions)
            for i, reason in zip(positions, reasons, strict=True):
                if self.tuned:
                    reason["tuned"] = float(fused[i]) - sum(reason.values())
                if graph is not None:
                    reason["links"] = float(scores[i] - shown[i])
            return reasons

        return Ranking(scores, why)

    def rank_sessions(self, view: View, query: Query) -> SessionRanking:
        """Return the ranking of sessions: by their best turns and by the session as a whole."""
        told, name = self.read(view.corpus, query, view.shown)
        found = told.signals
        scores = view.visible(fuse(found, apply(_weights("cubes" + name, told), self.factors)))
        by = model("sessions" + name).weights(told.cues)
        of_sessions, best = session_signals(view.corpus, scores, found)
        totals = np.where(np.isfinite(of_sessions["best"]), fuse(of_sessions, by), -np.inf)
        return SessionRanking(totals, best, lambda sessions: explain(of_sessions, by, sessions))

    @property
    def tuned(self) -> bool:
        """Whether it differs from the one that is shipped."""
        return self.head is not None or bool(self.factors)

    def read(self, corpus: Corpus, query: Query, shown: NDArray[np.bool_]) -> tuple[Read, str]:
        """Return what was read and the ending of the model's name: without vectors other weights are right, and so they are for
        a question and texts in a language that the embedder hardly knows.

        Of a question in another language than the texts only the signals that hold across languages are there.
        """
        without = int((corpus.alive & ~corpus.vectors.present).sum())
        if query.vector is None or 2 * without > int(corpus.alive.sum()):
            return read(corpus, query.without_vector(), shown), "_words"
        if self.head is not None:
            query = replace(query, vector=self.head(np.asarray(query.vector, dtype=np.float32)[None])[0])
        told = read(corpus, query, shown)
        if told.cues["question_known"] < HARDLY and told.cues["texts_known"] < HARDLY:
            return told, "_words"
        if from_elsewhere(corpus, query, told.cues["words_known"]):
            told = replace(told, signals={s: values for s, values in told.signals.items() if s in ACROSS})
        return told, ""


def from_elsewhere(corpus: Corpus, query: Query, known: float) -> bool:
    """Tell whether a question is in a language that the embedder knows and the texts are not in.

    `known` is the share of its words that the texts have: digits and names at best, and words that mean another thing there.
    """
    if known >= KNOWN or query.fluency(query.language) < 1:
        return False
    return corpus.fluency(lambda language: float(language == query.language)) < CROSSED


def _weights(name: str, told: Read) -> Weights:
    """Return the weights of a fitted model for a question; where hardly a word of it is known, less for the form of a text.

    An opening or a long turn is evidence among turns that have words of the question, and says nothing of those without.
    """
    known = min(round(told.cues["words_known"], 6) / KNOWN, 1.0)
    weights = model(name).weights(told.cues)
    if name.endswith("_words") and "cosine" in told.signals:
        weights["cosine"] = LAST
    return weights if known == 1 else {s: w * known if s in SHAPES else w for s, w in weights.items()}
