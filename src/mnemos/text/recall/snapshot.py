"""The in-memory picture of a space at one moment, and its rankings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnemos.store.values import Changes
from mnemos.text.base import Allow, Retriever, SessionRetriever, View
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.query import Query
from mnemos.text.recall.sessions import best_cubes
from mnemos.text.recall.spread import RARE, Graph, rare_links, recall_graph

SearchMethod = Literal["hybrid", "cross-encoder", "words", "vectors"]
READ_TOGETHER: SearchMethod = "cross-encoder"  # hybrid, its first hits read together with the question


@dataclass(frozen=True, slots=True)
class Ranked:
    """A cube of a ranking."""

    key: int
    score: float
    why: Mapping[str, float]  # what each signal added to the score


@dataclass(frozen=True, slots=True)
class RankedSession:
    """A session of a ranking."""

    session: str
    score: float
    why: Mapping[str, float]  # what each signal added to the score
    best: int  # the key of its best cube


class Snapshot:
    """A corpus, complete up to a sequence number of the store, and rankings over it. Not safe for threads."""

    def __init__(self, corpus: Corpus | None = None) -> None:
        self.corpus = Corpus() if corpus is None else corpus
        self.seq = 0
        self.graph: Graph | None = None
        self.complete = False  # whether the versions that were replaced or archived are there, too, as holes

    def __len__(self) -> int:
        return self.corpus.count

    @property
    def without_vector(self) -> int:
        """The number of cubes without a vector of the current model."""
        return int((self.corpus.alive & ~self.corpus.vectors.present).sum())

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        return self.corpus.nbytes

    def load(self, changes: Changes, *, complete: bool = False) -> None:
        """Take up all versions of a space, or without `complete` those that are searched."""
        self.corpus.add(changes.rows)
        self.seq, self.complete = changes.seq, complete or not changes.gone

    def apply(self, changes: Changes) -> bool:
        """Apply the changes since `seq`; return False when everything has to be read again instead.

        That is so when vectors were computed again, when a version comes back that is not there, or when most rows are
        holes. O(rows changed); what was erased is overwritten, 50 ms in a space of 100,000.
        """
        newest = int(self.corpus.keys[-1]) if len(self.corpus.keys) else 0
        new = [row for row in changes.rows if row.key > newest]
        revised = [row for row in changes.rows if row.key <= newest]
        if not self.complete:
            new = [row for row in new if row.searched]
            there = self.corpus.positions_of(np.array([row.key for row in revised], dtype=np.int64)) >= 0
            revised = [row for row, known in zip(revised, there, strict=True) if known or row.searched]
        if not self.corpus.revise(revised):
            return False
        self.corpus.add(new)
        self.corpus.remove(changes.gone)
        self.seq = changes.seq
        return self.complete or len(self) >= len(self.corpus) // 2

    def believed(self, as_of: int) -> Snapshot:
        """Return the versions that were current at a moment, if this one is `complete`. Valid until the next change."""
        return Snapshot(self.corpus.believed(as_of))

    def link(self, links: Sequence[tuple[int, int, float]]) -> None:
        """Set the links between keys along which scores spread. O(links), and O(terms) for those of rare words."""
        corpus = self.corpus
        i, j = (corpus.positions_of(np.array([x[n] for x in links], dtype=np.int64)) for n in (0, 1))
        weight = np.array([x[2] for x in links], dtype=np.float64)
        there = (i >= 0) & (j >= 0)
        shown = corpus.alive & ~corpus.derived
        rare = (p[shown[p]].astype(np.int64) for p in corpus.words.postings(2 * RARE))
        self.graph = recall_graph(len(corpus), (i[there], j[there], weight[there]), rare_links(len(corpus), rare))

    def mask(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the mask (N,) of the cubes with these keys."""
        allowed = np.zeros(len(self.corpus), dtype=bool)
        allowed[self.corpus.positions(keys)] = True
        return allowed

    def default_mask(self, *, superseded: bool = False) -> Allow:
        """Return the mask (N,) of cubes that are neither derived nor archived nor superseded; None for all."""
        hidden = self.corpus.derived | self.corpus.archived
        hidden = hidden if superseded else hidden | self.corpus.superseded
        return ~hidden if hidden.any() else None

    def rank(self, retriever: Retriever, query: Query, k: int, *, allow: Allow = None) -> list[Ranked]:
        """Return the `k` best cubes, best first; among equals the newest first."""
        if not len(self):
            return []
        ranking = retriever.rank(self._view(allow), query)
        best = _top(ranking.scores, k)
        return [
            Ranked(int(self.corpus.keys[i]), sum(why.values()), why)
            for i, why in zip(best, ranking.explain(best), strict=True)
            if ranking.scores[i]
        ]

    def rank_sessions(self, retriever: Retriever, query: Query, k: int, *, allow: Allow = None) -> list[RankedSession]:
        """Return the `k` best sessions, best first, each with its best cube. Cubes outside a session are left out."""
        layout = self.corpus.layout()
        if not len(self) or not len(layout.by_session):
            return []
        view = self._view(allow)
        if isinstance(retriever, SessionRetriever):
            ranking = retriever.rank_sessions(view, query)
        else:
            ranking = best_cubes(self.corpus, retriever.rank(view, query).scores)
        names = [self.corpus.session_names[i] or "" for i in layout.session[ranking.best]]
        order = _top(ranking.scores, k)
        return [
            RankedSession(names[i], sum(why.values()), why, int(self.corpus.keys[ranking.best[i]]))
            for i, why in zip(order, ranking.explain(order), strict=True)
        ]

    def around(self, keys: Sequence[int], query: Query) -> Corpus:
        """Return a corpus that has these keys, for judging them."""
        return self.corpus

    def _view(self, allow: Allow) -> View:
        alive = self.corpus.alive
        return View(self.corpus, self.graph, alive if allow is None else alive & allow)


def _top(scores: NDArray[np.floating], k: int) -> list[int]:
    """Return the indices of the `k` largest finite scores, the largest first, among equals the last first."""
    n = len(scores)
    cut = np.partition(scores, n - k)[n - k] if n > k else np.float32(-np.inf)
    found = np.flatnonzero(scores >= cut)
    found = found[np.isfinite(scores[found])]
    order = np.lexsort((-found, -scores[found]))[:k]
    return [int(i) for i in found[order]]
