"""Mnemos' own retriever: every signal fused, spread along links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, SessionRanking, View, Why
from mnemos.text.recall.fusion import explain, fuse, model
from mnemos.text.recall.query import Query
from mnemos.text.recall.sessions import session_signals
from mnemos.text.recall.signals import Read, read
from mnemos.text.recall.spread import spread


@register(
    "hybrid",
    papers=(Paper("Learning to Rank: From Pairwise Approach to Listwise Approach"),),
)
@dataclass(frozen=True, slots=True)
class Hybrid:
    """Rank by words, vectors, neighbours in talk and time, speaker and date, fused; then spread along links.

    The weights depend on the question and the space and were fitted across sets (see `mnemos.text.recall.fusion`); where
    most cubes have no vector, those fitted for words alone are used. O(N) per signal.
    """

    uses_vector: ClassVar[bool] = True
    links: bool = True  # whether the score spreads along the links that consolidation made

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking. By words alone, a cube with no word of the question nearby and no date is no answer."""
        told, name = _read(view, query)
        found, by = told.signals, model("cubes" + name).weights(told.cues)
        fused = fuse(found, by)
        if name:
            answers = found["coverage_around"] > 0
            if "time" in found:
                answers |= found["time"] > 0
            fused = np.where(answers, fused, np.float32(-np.inf))
        shown = view.visible(fused)
        if not self.links or view.graph is None:
            return Ranking(shown, lambda positions: explain(found, by, positions))
        scores = spread(view.corpus, shown, view.graph)

        def why(positions: Sequence[int]) -> Why:
            reasons = explain(found, by, positions)
            for i, reason in zip(positions, reasons, strict=True):
                reason["links"] = float(scores[i] - shown[i])
            return reasons

        return Ranking(scores, why)

    def rank_sessions(self, view: View, query: Query) -> SessionRanking:
        """Return the ranking of sessions: by their best turns and by the session as a whole."""
        told, name = _read(view, query)
        found = told.signals
        scores = view.visible(fuse(found, model("cubes" + name).weights(told.cues)))
        by = model("sessions" + name).weights(told.cues)
        of_sessions, best = session_signals(view.corpus, scores, found)
        totals = np.where(np.isfinite(of_sessions["best"]), fuse(of_sessions, by), -np.inf)
        return SessionRanking(totals, best, lambda sessions: explain(of_sessions, by, sessions))


def _read(view: View, query: Query) -> tuple[Read, str]:
    """Return what was read and the ending of the model's name: without vectors other weights are right."""
    corpus = view.corpus
    without = int((corpus.alive & ~corpus.vectors.present).sum())
    if query.vector is not None and 2 * without <= int(corpus.alive.sum()):
        return read(corpus, query, view.shown), ""
    return read(corpus, query.without_vector(), view.shown), "_words"
