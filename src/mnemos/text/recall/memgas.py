"""MemGAS: sessions at four granularities, mixed by how sure each is, and spread over associations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import register
from mnemos.text.base import Ranking, SessionRanking, View
from mnemos.text.consolidate.similar import SimilarLinks
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.layout import Layout
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import word_scores
from mnemos.text.recall.spread import MEMGAS, PageRank, make_graph

Floats = NDArray[np.float64]
Granularity = Literal["session", "turn", "summary", "keywords"]
GRANULARITIES: tuple[Granularity, ...] = ("session", "turn", "summary", "keywords")
Mixing = Literal["entropy", "uniform", "session", "turn", "summary", "keywords"]
Associations = Literal["mixture", "nearest", "none"]
CENTRAL, NEAREST, WORDS = 3, 5, 0.5  # turns of a summary; neighbours of a session; share of words in what a turn scores


@dataclass(frozen=True, slots=True)
class Units:
    """The S sessions of a corpus at the granularities that have vectors."""

    session: Floats  # (S, D) the mean of the turns
    summary: Floats  # (S, D) the mean of the turns nearest to it
    turns: NDArray[np.int64]  # positions of the turns, session by session
    of: NDArray[np.int64]  # the session of each of these turns


@register("memgas", papers=(MEMGAS,), baselines=("cosine",), task="memgas")
@dataclass(frozen=True, slots=True)
class MemGas:
    """Rank sessions by four granularities, each weighted by 1 - the entropy of its softmax, and by PageRank over associations.

    Turns by their vectors, the session by their mean, a summary by the mean of the three turns nearest to it, keywords by the
    words that the session shares with the question. A granularity whose similarities single out a few sessions is sure, and
    weighs more: w_g ~ 1 - H_g / log S. The mixed scores seed a personalised PageRank over links between sessions that a
    mixture of two Gaussians marks as similar. A turn scores its session's score and its own cosine.

    Deviations: similarities are in deviations from the mean, since cosines and shares of words have other spreads. No model
    writes summaries and keywords, or filters at the end. Links are between sessions, made in each search: O(S^2 D), 5 ms
    for 300 sessions. `temperature` was chosen on LoCoMo's development half.
    """

    mixing: Mixing = "entropy"  # or all alike, or one granularity alone
    associations: Associations = "mixture"  # or each session's five nearest, or none
    temperature: float = 1.0  # of the softmax over deviations
    seeds: int = 15  # best sessions that the walk starts from
    damping: float = 0.1  # share of the mass that moves on at each step

    uses_vector: ClassVar[bool] = True

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking: the score of the session, and the cosine of the cube."""
        corpus = view.corpus
        found = np.zeros(len(corpus), np.float32)
        if query.vector is not None:
            found = (corpus.vectors.scores(query.vector) + WORDS * word_scores(corpus, query)).astype(np.float32)
        of, scores = self._sessions(view, query)
        own = np.where(of >= 0, scores[of], 0.0) if len(scores) else np.zeros(len(corpus))
        total = view.visible((found + own).astype(np.float32))
        return Ranking(
            total,
            lambda positions: [{"own": float(found[i]), "session": float(total[i] - found[i])} for i in positions],
        )

    def rank_sessions(self, view: View, query: Query) -> SessionRanking:
        """Return the ranking of sessions: -inf where none of a session's cubes is shown."""
        layout = view.corpus.layout()
        cubes = self.rank(view, query).scores
        inside = layout.session[layout.by_session]
        ranked = layout.by_session[np.lexsort((-cubes[layout.by_session], inside))]
        best = ranked[layout.session_starts]
        _, scores = self._sessions(view, query)
        total = np.where(np.isfinite(cubes[best]), scores, -np.inf)
        return SessionRanking(total, best, lambda sessions: [{"memgas": float(total[i])} for i in sessions])

    def _sessions(self, view: View, query: Query) -> tuple[NDArray[np.int64], Floats]:
        """Return the session of each cube, (N,), -1 for none, and the score of each session, (S,)."""
        corpus, layout = view.corpus, view.corpus.layout()
        of = np.full(len(corpus), -1, dtype=np.int64)
        of[layout.by_session] = np.repeat(np.arange(len(layout.session_starts)), layout.session_sizes)
        if not len(layout.session_starts) or query.vector is None or not corpus.vectors.present.any():
            return of, np.zeros(len(layout.session_starts))
        units = units_of(corpus, layout)
        similar = similarities(corpus, layout, units, query)
        mixed = self.mixed(similar)
        scores = mixed
        if self.associations != "none":
            i, j, weight = self.linked(units.session)
            walk = PageRank(seeds=self.seeds, temperature=self.temperature, damping=self.damping)
            scores = mixed + walk.rank(make_graph(len(mixed), i, j, weight), walk.start(mixed))
        return of, scores

    def weights(self, similar: dict[Granularity, Floats]) -> dict[Granularity, float]:
        """Return the weight of each granularity; they sum to 1."""
        if self.mixing in GRANULARITIES:
            return {name: float(name == self.mixing) for name in similar}
        if self.mixing == "uniform":
            return dict.fromkeys(similar, 1 / len(similar))
        sure = {name: 1 - unsureness(values, self.temperature) for name, values in similar.items()}
        total = sum(sure.values())
        return {name: value / total if total > 0 else 1 / len(sure) for name, value in sure.items()}

    def mixed(self, similar: dict[Granularity, Floats]) -> Floats:
        """Return the weighted similarities, (S,)."""
        weights = self.weights(similar)
        return np.asarray(sum(weights[name] * values for name, values in similar.items()), dtype=np.float64)

    def linked(self, sessions: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Return links (i, j, weight) among the sessions."""
        count, own = len(sessions), np.arange(len(sessions))
        if self.associations == "mixture":
            return SimilarLinks().link(sessions, sessions, own)
        cosines = sessions @ sessions.T - 2 * np.eye(count)
        near = np.argsort(-cosines, axis=1, kind="stable")[:, : min(NEAREST, count - 1)]
        i = np.repeat(own, near.shape[1])
        return i, near.ravel(), np.maximum(cosines[i, near.ravel()], 0)


def units_of(corpus: Corpus, layout: Layout) -> Units:
    """Return the sessions of a corpus at each granularity."""
    turns = layout.by_session.astype(np.int64)
    of = np.repeat(np.arange(len(layout.session_starts)), layout.session_sizes)
    rows = corpus.vectors.rows[turns].astype(np.float64)
    session = unit(np.add.reduceat(rows, layout.session_starts, axis=0))
    central = np.vecdot(rows, session[of])
    order = np.lexsort((-central, of))
    place = np.arange(len(turns)) - layout.session_starts[of]
    chosen = order[place < CENTRAL]
    summary = np.zeros_like(session)
    np.add.at(summary, of[chosen], rows[chosen])
    return Units(session, unit(summary), turns, of)


def similarities(corpus: Corpus, layout: Layout, units: Units, query: Query) -> dict[Granularity, Floats]:
    """Return how far each session stands out for a question at each granularity, (S,): deviations from the mean."""
    asked = unit(np.asarray(query.vector, dtype=np.float64)[None, :])[0]
    cosines = corpus.vectors.scores(np.asarray(query.vector)).astype(np.float64)[units.turns]
    words = word_scores(corpus, query).astype(np.float64)[units.turns]
    found: dict[Granularity, Floats] = {
        "session": units.session @ asked,
        "turn": np.maximum.reduceat(cosines, layout.session_starts),
        "summary": units.summary @ asked,
        "keywords": np.maximum.reduceat(words, layout.session_starts),
    }
    return {name: (values - values.mean()) / max(float(values.std()), 1e-9) for name, values in found.items()}


def unsureness(values: Floats, temperature: float) -> float:
    """Return the entropy of softmax(values / temperature), 0 for one value alone to 1 for all alike."""
    if len(values) < 2:
        return 0.0
    shares = np.exp((values - values.max()) / temperature)
    shares /= shares.sum()
    return float(-(shares * np.log(np.maximum(shares, 1e-30))).sum() / np.log(len(values)))


def unit(rows: Floats) -> Floats:
    """Return the rows scaled to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))
