"""Mnemos' own retriever: every signal fused, spread along links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, SessionRanking, View, Why
from mnemos.text.recall.fusion import brevity, explain, fuse, weights
from mnemos.text.recall.query import Query
from mnemos.text.recall.sessions import session_signals
from mnemos.text.recall.signals import Signals, signals
from mnemos.text.recall.spread import spread


@register(
    "hybrid",
    papers=(Paper("Learning to Rank: From Pairwise Approach to Listwise Approach"),),
)
@dataclass(frozen=True, slots=True)
class Hybrid:
    """Rank by words, vectors, neighbouring turns, session, speaker and time, fused linearly, then spread along links.

    The weights were fitted on development conversations (see `mnemos.text.recall.fusion`); where most cubes have no
    vector, those fitted for words alone are used. O(N) per signal.
    """

    uses_vector: ClassVar[bool] = True
    links: bool = True  # whether the score spreads along the links that consolidation made

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking. By words alone, a cube with no word of the question nearby and no date is no answer."""
        found, name = _signals(view, query)
        by, brief = weights("cubes" + name), brevity(view.corpus)
        fused = fuse(found, by, brief)
        if name:
            answers = found["coverage_around"] > 0
            if "time" in found:
                answers |= found["time"] > 0
            fused = np.where(answers, fused, np.float32(-np.inf))
        shown = view.visible(fused)
        if not self.links or view.graph is None:
            return Ranking(shown, lambda positions: explain(found, by, brief, positions))
        scores = spread(view.corpus, shown, view.graph)

        def why(positions: Sequence[int]) -> Why:
            reasons = explain(found, by, brief, positions)
            for i, reason in zip(positions, reasons, strict=True):
                reason["links"] = float(scores[i] - shown[i])
            return reasons

        return Ranking(scores, why)

    def rank_sessions(self, view: View, query: Query) -> SessionRanking:
        """Return the ranking of sessions: by their best turns and by the session as a whole."""
        found, name = _signals(view, query)
        scores = view.visible(fuse(found, weights("cubes" + name), brevity(view.corpus)))
        by, brief = weights("sessions" + name), brevity(view.corpus)
        of_sessions, best = session_signals(view.corpus, scores, found)
        totals = np.where(np.isfinite(of_sessions["best"]), fuse(of_sessions, by, brief), -np.inf)
        return SessionRanking(totals, best, lambda sessions: explain(of_sessions, by, brief, sessions))


def _signals(view: View, query: Query) -> tuple[Signals, str]:
    """Return the signals and the ending of the weights' name: without vectors other weights are right."""
    corpus = view.corpus
    without = int((corpus.alive & ~corpus.vectors.present).sum())
    if query.vector is not None and 2 * without <= int(corpus.alive.sum()):
        return signals(corpus, query), ""
    return signals(corpus, query.without_vector()), "_words"
