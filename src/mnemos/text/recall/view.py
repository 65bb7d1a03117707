"""The current view of a space, brought up to date before each question."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mnemos.embed import Embedder
from mnemos.errors import IndexDamaged, StaleVectors, StoreError
from mnemos.index import files
from mnemos.store.base import Store
from mnemos.store.locks import try_lock
from mnemos.store.setting import stored_value
from mnemos.store.values import Filter
from mnemos.text.base import Allow
from mnemos.text.recall import large
from mnemos.text.recall.large import LargeSnapshot
from mnemos.text.recall.query import Query
from mnemos.text.recall.snapshot import Snapshot
from mnemos.text.recall.spread import Graph

R = TypeVar("R")
T = TypeVar("T")
ANSWERS = 256  # in the cache
LIGHT = 50_000  # cubes that are ranked in milliseconds
PAST_BYTES = 100  # of a cube in the snapshot of an earlier moment, beside what it shares with the present one
PAST_ROOM = 64_000_000  # bytes of such snapshots, at most, if there is more than one
GROWTH = 1.05  # growth of the linked cubes from which links are reloaded
Rank = Callable[[Snapshot, Query, Allow], list[R]]


class CurrentView:
    """Keeps one `Snapshot` in step with the store, whoever writes to it. Safe for threads: questions take turns."""

    def __init__(self, store: Store, space: str) -> None:
        self._store = store
        self._space = space
        self._snapshot: Snapshot | None = None
        self._lock = threading.RLock()
        self._warned = False
        self._answers: dict[Any, list[Any]] = {}  # to questions about the whole space, until it changes
        self._of: tuple[int, Graph | None] = (-1, None)
        self._past: dict[int, Snapshot] = {}  # of earlier moments, until the space changes
        self._linked = 0  # the newest key whose links are in the snapshot
        self._seen: tuple[Any, ...] = ()  # change token, model and embedder for which the snapshot was read

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot of the last question; None before the first one."""
        return self._snapshot

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        return 0 if self._snapshot is None else self._snapshot.nbytes

    def about(self) -> dict[str, Any]:
        """Return which index a search uses, and why."""
        store, loaded = self._store, self._snapshot
        newest, folder = store.bulk.newest(), store.bulk.folder
        candidates = (
            isinstance(loaded, LargeSnapshot) if loaded is not None else newest >= large.LARGE and folder is not None
        )
        sizes = f"{newest:,} versions, {large.LARGE:,} are the limit"
        if candidates:
            return {"kind": "candidates", "why": f"the space is large: {sizes}", "path": str(folder)}
        if newest >= large.LARGE and folder is None:
            return {
                "kind": "exact",
                "why": f"no folder for an index is given (index=FOLDER in the URL), though the space is large: {sizes}",
            }
        return {"kind": "exact", "why": f"the space is small enough to score every cube: {sizes}"}

    def drop(self) -> None:
        """Free the RAM; the next question reads everything again."""
        with self._lock:
            self._snapshot = None
            self._answers.clear()
            self._past.clear()

    def purge(self, model: int | None, embedder: Embedder | None) -> None:
        """Remove from RAM, and from the files of an index, what was erased."""
        with self._lock:
            folder = self._store.bulk.folder
            if self._snapshot is None and (folder is None or not folder.exists()):
                return
            try:
                self._present(*(self._seen[1:] or (model, embedder)))
            except StoreError:
                self.drop()

    def try_drop(self) -> bool:
        """Free the RAM unless a question is being answered; return whether it was freed."""
        with try_lock(self._lock) as held:
            if held:
                self.drop()
            return held

    def refresh(self, model: int | None, embedder: Embedder | None) -> Snapshot | None:
        """Return the snapshot, brought up to date; None when it is empty."""
        with self._lock:
            snapshot = self._present(model, embedder)
            return snapshot if len(snapshot) else None

    def read(self, what: Callable[[Snapshot], T], model: int | None, embedder: Embedder | None) -> T:
        """Return what a function makes of the snapshot, brought up to date; nobody changes it in the meantime."""
        with self._lock:
            return what(self._present(model, embedder))

    @contextmanager
    def try_lock(self, model: int | None, embedder: Embedder | None) -> Iterator[bool]:
        """Try to lock without waiting; yield whether it worked and the snapshot is current and small enough."""
        with try_lock(self._lock) as held:
            small = held and self._snapshot is not None and len(self._snapshot) <= LIGHT
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
        """Return the ranking of the current snapshot, or with `filter.as_of` of one of an earlier moment.

        Costs O(rows changed since the last question), and O(N) for the first question about an earlier moment. A question
        repeated while nothing has changed is answered from a cache; `kind` names the ranking in it.
        """
        with self._lock:
            snapshot = self._present(model, embedder)
            if filter.as_of is not None:
                past, now = self._believed(snapshot, filter.as_of, model), replace(filter, as_of=None)
                allow = (
                    past.default_mask(superseded=filter.superseded)
                    if now.selects_all
                    else past.mask(self._store.keys(filter))
                )
                return rank(past, question, allow)
            if not filter.selects_all:
                return rank(snapshot, question, snapshot.mask(self._store.keys(filter)))
            if self._of[0] != snapshot.seq or self._of[1] is not snapshot.graph:
                self._answers.clear()
                self._of = (snapshot.seq, snapshot.graph)
            key = (kind, filter.superseded, question.key)
            if key not in self._answers:
                if len(self._answers) >= ANSWERS:
                    self._answers.pop(next(iter(self._answers)))
                self._answers[key] = rank(snapshot, question, snapshot.default_mask(superseded=filter.superseded))
            return list(self._answers[key])

    def _present(self, model: int | None, embedder: Embedder | None) -> Snapshot:
        stamp = self._store.change_token()  # before reading, so that concurrent writes count as changes
        seen = (stamp, model, embedder)
        if self._snapshot is not None and stamp is not None and seen == self._seen:
            return self._snapshot
        if self._seen[:1] == (None,):  # read inside a transaction that may have been rolled back
            self._snapshot = None
            self._answers.clear()
        self._past.clear()
        snapshot = self._snapshot
        if isinstance(snapshot, LargeSnapshot) and not snapshot.is_last:
            snapshot = None  # another process wrote the files
        if snapshot is None or not snapshot.apply(self._store.changes(snapshot.seq, model, closed=True)):
            snapshot = self._read(model, again=snapshot is not None)
        while isinstance(snapshot, LargeSnapshot) and stamp is not None and not snapshot.settle():
            snapshot = self._read(model, again=False)
        self._snapshot, self._seen = snapshot, seen
        self._link(snapshot)
        if snapshot.without_vector and embedder is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{snapshot.without_vector} of {len(snapshot)} cubes of space {self._space!r} have no vector of "
                f"{embedder.name} ({embedder.revision}); they are found by words only. Run `mnemos reindex` to "
                "compute them.",
                StaleVectors,
                stacklevel=6,
            )
        return snapshot

    def _read(self, model: int | None, *, again: bool) -> Snapshot:
        """Read the space: a large one from its index, which is made if it is missing, damaged, or to be made `again`."""
        store = self._store
        folder = store.bulk.folder
        if folder is None or min(store.bulk.newest(), store.bulk.count()) < large.LARGE:
            snapshot = Snapshot()
            snapshot.load(store.changes(0, model))
            return snapshot
        if not again and (found := self._opened(folder, model)) is not None:
            return found
        with files.locked(folder):
            found = None if again else self._opened(folder, model)  # another process may have made it
            return LargeSnapshot.make(store, model) if found is None else found

    def _opened(self, folder: Path, model: int | None) -> LargeSnapshot | None:
        """Return the index in a folder, brought up to date; None where it has to be made."""
        try:
            found = LargeSnapshot.open(folder, model)
        except IndexDamaged:
            return None
        return found if found.apply(self._store.changes(found.seq, model, closed=True)) else None

    def _link(self, snapshot: Snapshot) -> None:
        """Reload links once consolidation has added enough of them to matter."""
        linked = stored_value(self._store, "linked", int) or 0
        if isinstance(snapshot, LargeSnapshot):
            return
        if linked and (snapshot.graph is None or linked > GROWTH * self._linked):
            snapshot.link(self._store.links.keys("similar"))
            self._linked = linked

    def _believed(self, snapshot: Snapshot, as_of: int, model: int | None) -> Snapshot:
        """Return the snapshot of an earlier moment. The first time, versions that are no longer current are read."""
        if not snapshot.complete:
            self._snapshot = snapshot = Snapshot()
            snapshot.load(self._store.changes(0, model, closed=True), complete=True)
            self._link(snapshot)
            self._past.clear()
        found = self._past.pop(as_of, None) or snapshot.believed(as_of)
        self._past[as_of] = found  # the last one is the one used last
        while len(self._past) * PAST_BYTES * len(snapshot.corpus) > PAST_ROOM and len(self._past) > 1:
            self._past.pop(next(iter(self._past)))
        return found
