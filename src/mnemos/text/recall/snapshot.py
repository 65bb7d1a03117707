"""The in-memory picture of a space, kept in step with its store, and the entry to ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnemos.store.values import Changes
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.fusion import brevity, explain, fuse, weights
from mnemos.text.recall.query import Query
from mnemos.text.recall.sessions import session_signals
from mnemos.text.recall.signals import Signals, bm25, cosines, signals
from mnemos.text.recall.spread import RARE, Graph, rare_links, recall_graph, spread

SearchMethod = Literal["hybrid", "words", "vectors"]
Floats = NDArray[np.float32]
Allow = NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of a ranking: the key of the cube, its score, and what each signal added to it."""

    key: int
    score: float
    why: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RankedSession:
    """One session of a ranking; `best` is the key of its best cube."""

    session: str
    score: float
    why: Mapping[str, float]
    best: int


class Snapshot:
    """A corpus, the sequence number of the store up to which it is complete, and rankings over it.

    Not safe among threads: `Space` guards it.
    """

    def __init__(self) -> None:
        self.corpus = Corpus()
        self.seq = 0
        self.graph: Graph | None = None

    def __len__(self) -> int:
        return int(self.corpus.alive.sum())

    @property
    def without_vector(self) -> int:
        """How many cubes have no vector of the current model."""
        return int((self.corpus.alive & ~self.corpus.vectors.present).sum())

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM."""
        return self.corpus.nbytes

    def apply(self, changes: Changes) -> bool:
        """Take over what happened since `seq`; False when only reading everything again can do that.

        That is so when rows that are here were computed anew (reindex, repair), or when most rows are holes.
        """
        newest = int(self.corpus.keys[-1]) if len(self.corpus.keys) else 0
        if any(row.key <= newest for row in changes.rows):
            return False
        self.corpus.add(changes.rows)
        self.corpus.remove(changes.gone)
        self.seq = changes.seq
        return len(self) >= len(self.corpus) // 2

    def link(self, links: Sequence[tuple[int, int, float]]) -> None:
        """Take in links between keys, along which `rank` spreads. O(links), and O(terms) for those of rare words."""
        corpus = self.corpus
        i, j = (corpus.positions_of(np.array([x[n] for x in links], dtype=np.int64)) for n in (0, 1))
        weight = np.array([x[2] for x in links], dtype=np.float64)
        there = (i >= 0) & (j >= 0)
        shown = corpus.alive & ~corpus.derived
        rare = (p[shown[p]].astype(np.int64) for p in corpus.words.postings(2 * RARE))
        self.graph = recall_graph(len(corpus), (i[there], j[there], weight[there]), rare_links(len(corpus), rare))

    def mask(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (N,) True where the cube's key is one of `keys`."""
        allowed = np.zeros(len(self.corpus), dtype=bool)
        allowed[self.corpus.positions(keys)] = True
        return allowed

    def default_mask(self, *, superseded: bool = False) -> Allow:
        """Return (N,) True where the cube is not derived and (unless asked for) not superseded; None when all are shown."""
        hidden = self.corpus.derived if superseded else self.corpus.derived | self.corpus.superseded
        return ~hidden if hidden.any() else None

    def rank(self, query: Query, k: int, *, allow: Allow = None, method: SearchMethod = "hybrid") -> list[Ranked]:
        """Return the `k` best cubes, best first; among equals the newest first. O(N) per signal."""
        if not len(self):
            return []
        if method == "hybrid":
            found, name = self._signals(query)
            by, brief = weights("cubes" + name), brevity(self.corpus)
            scores = fuse(found, by, brief)
            if name:  # words alone: what no word nearby and no date speaks for is not an answer
                spoken_for = found["coverage_around"] > 0
                if "time" in found:
                    spoken_for |= found["time"] > 0
                scores = np.where(spoken_for, scores, np.float32(-np.inf))
            shown = self._visible(scores, allow)
            spread_to = shown if self.graph is None else spread(self.corpus, shown, self.graph)
            best = _top(spread_to, k)
            reasons = explain(found, by, brief, best)
            if self.graph is not None:
                for i, why in zip(best, reasons, strict=True):
                    why["links"] = float(spread_to[i] - shown[i])
            return [
                Ranked(int(self.corpus.keys[i]), sum(why.values()), why) for i, why in zip(best, reasons, strict=True)
            ]
        name, scores = (
            ("bm25", bm25(self.corpus, query)) if method == "words" else ("cosine", cosines(self.corpus, query))
        )
        best = self._best(scores, k, allow)
        return [Ranked(int(self.corpus.keys[i]), float(scores[i]), {name: float(scores[i])}) for i in best if scores[i]]

    def rank_sessions(
        self, query: Query, k: int, *, allow: Allow = None, method: SearchMethod = "hybrid"
    ) -> list[RankedSession]:
        """Return the `k` best sessions, best first, each with its best cube. Cubes outside a session are left out."""
        if not len(self) or not len(self.corpus.layout().by_session):
            return []
        if method == "hybrid":
            found, name = self._signals(query)
            scores = self._visible(fuse(found, weights("cubes" + name), brevity(self.corpus)), allow)
            by, brief = weights("sessions" + name), brevity(self.corpus)
            of_sessions, best = session_signals(self.corpus, scores, found)
            totals = fuse(of_sessions, by, brief)
        else:
            scores = bm25(self.corpus, query) if method == "words" else cosines(self.corpus, query)
            of_sessions, best = session_signals(self.corpus, self._visible(scores, allow), {})
            by, brief = {"best": (1.0, 0.0)}, 0.0
            totals = of_sessions["best"]
        totals = np.where(np.isfinite(of_sessions["best"]), totals, -np.inf)
        names = [self.corpus.session_names[i] or "" for i in self.corpus.layout().session[best]]
        order = _top(totals, k)
        return [
            RankedSession(names[i], sum(why.values()), why, int(self.corpus.keys[best[i]]))
            for i, why in zip(order, explain(of_sessions, by, brief, order), strict=True)
        ]

    def _signals(self, query: Query) -> tuple[Signals, str]:
        """Return the signals and the ending of the weights' name: without vectors other weights are right."""
        if query.vector is not None and 2 * self.without_vector <= len(self):
            return signals(self.corpus, query), ""
        return signals(self.corpus, query.without_vector()), "_words"

    def _visible(self, scores: Floats, allow: Allow) -> Floats:
        shown = self.corpus.alive if allow is None else self.corpus.alive & allow
        return np.where(shown, scores, np.float32(-np.inf))

    def _best(self, scores: Floats, k: int, allow: Allow) -> list[int]:
        return _top(self._visible(scores, allow), k)


def _top(scores: Floats, k: int) -> list[int]:
    """Return the indexes of the `k` largest finite scores, largest first, among equals the last first."""
    n = len(scores)
    cut = np.partition(scores, n - k)[n - k] if n > k else np.float32(-np.inf)
    found = np.flatnonzero(scores >= cut)
    found = found[np.isfinite(scores[found])]
    order = np.lexsort((-found, -scores[found]))[:k]
    return [int(i) for i in found[order]]
