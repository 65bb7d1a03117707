"""The view of a space as it is now, brought up to date before every question."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from mnemos.embed import Embedder
from mnemos.errors import StaleVectors
from mnemos.store.base import Store
from mnemos.store.locks import try_lock
from mnemos.store.values import Changes, Filter
from mnemos.text.recall.query import Query
from mnemos.text.recall.spread import Graph
from mnemos.text.recall.view import Allow, View

R = TypeVar("R")
ANSWERS = 256  # that are kept
LIGHT = 50_000  # cubes that are ranked in milliseconds
GROWTH = 1.05  # the links are read anew when the space has grown by so much
Rank = Callable[[View, Query, Allow], list[R]]


class LiveView:
    """Keeps one `View` in step with the store, whoever writes to it. Safe among threads: questions take turns."""

    def __init__(self, store: Store, space: str) -> None:
        self._store = store
        self._space = space
        self._view: View | None = None
        self._lock = threading.RLock()
        self._warned = False
        self._answers: dict[Any, list[Any]] = {}  # to questions about the whole space, while it stays as it is
        self._of: tuple[int, Graph | None] = (-1, None)
        self._linked = 0  # the newest key whose links are in the view
        self._seen: tuple[Any, ...] = ()  # the file, and for which embedder it was read, when the view was made

    @property
    def view(self) -> View | None:
        """The view as the last question left it; None before the first one."""
        return self._view

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM."""
        return 0 if self._view is None else self._view.nbytes

    def drop(self) -> None:
        """Free the RAM; the next question reads everything again."""
        with self._lock:
            self._view = None
            self._answers.clear()

    def refresh(self, model: int | None, embedder: Embedder | None) -> View | None:
        """Return the view, brought up to date; None when it holds nothing."""
        with self._lock:
            view = self._present(model, embedder)
            return view if len(view) else None

    @contextmanager
    def unwaited(self, model: int | None, embedder: Embedder | None) -> Iterator[bool]:
        """Hold the view if no other thread does; give whether it is up to date and small enough to be ranked in milliseconds."""
        with try_lock(self._lock) as held:
            small = held and self._view is not None and len(self._view) <= LIGHT
            yield small and self._seen == (self._store.change_token(), model, embedder)

    def ask(
        self,
        rank: Rank[R],
        kind: tuple[str, int, str],
        question: Query,
        filter: Filter,
        model: int | None,
        embedder: Embedder | None,
    ) -> list[R]:
        """Return what `rank` makes of the view: the present one, or with `filter.as_of` that of an earlier moment.

        Costs O(rows that changed since the last question); a past view is read anew, O(N). The same question, asked
        again while nothing has changed, is answered from the last 256 answers; `kind` names the ranking.
        """
        with self._lock:
            view = self._present(model, embedder) if filter.as_of is None else self._past(filter.as_of, model)
            if not filter.selects_all:
                return rank(view, question, view.mask(self._store.keys(filter)))
            if self._of[0] != view.seq or self._of[1] is not view.graph:
                self._answers.clear()
                self._of = (view.seq, view.graph)
            key = (kind, filter.superseded, question.key)
            if key not in self._answers:
                if len(self._answers) >= ANSWERS:
                    self._answers.pop(next(iter(self._answers)))
                self._answers[key] = rank(view, question, view.living(superseded=filter.superseded))
            return list(self._answers[key])

    def _present(self, model: int | None, embedder: Embedder | None) -> View:
        stamp = self._store.change_token()  # before the reading: what comes meanwhile is news
        seen = (stamp, model, embedder)
        if self._view is not None and stamp is not None and seen == self._seen:
            return self._view
        if self._seen[:1] == (None,):  # it was read inside a transaction, which may have been rolled back since
            self._view = None
            self._answers.clear()
        view = self._view or View()
        if not view.apply(self._store.changes(view.seq, model)):
            view = View()
            view.apply(self._store.changes(0, model))
        self._view, self._seen = view, seen
        self._link(view)
        if view.without_vector and embedder is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{view.without_vector} of {len(view)} cubes of space {self._space!r} have no vector of "
                f"{embedder.name} ({embedder.revision}); they are found by words only. Run `mnemos reindex` to "
                "compute them.",
                StaleVectors,
                stacklevel=6,
            )
        return view

    def _link(self, view: View) -> None:
        """Take in the links that consolidation has made since, when they are many enough to matter."""
        linked = int(self._store.meta.get("linked", "0"))
        if linked and (view.graph is None or linked > GROWTH * self._linked):
            view.link(self._store.links.keys("similar"))
            self._linked = linked

    def _past(self, as_of: int, model: int | None) -> View:
        view = View()
        view.apply(Changes(0, self._store.snapshot(as_of, model), []))
        return view
