"""The snapshot of a large space: candidates first, then an excerpt around them that is scored like a small space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mnemos.errors import IndexDamaged
from mnemos.index import files
from mnemos.index.base import Floats, Keys, VectorIndex
from mnemos.index.disk.spann import DiskIndex
from mnemos.index.mapped_rows import MappedRows
from mnemos.store.base import Store
from mnemos.store.values import Changes, IndexRow
from mnemos.text.base import Allow, Retriever, View
from mnemos.text.recall import columns
from mnemos.text.recall.excerpt import Excerpt
from mnemos.text.recall.mapped import MappedCorpus
from mnemos.text.recall.query import Query
from mnemos.text.recall.snapshot import Ranked, RankedSession, Snapshot

LARGE = 150_000  # versions from which a space is searched by candidates: fewer are all scored in a tenth of a second
LAST = 2**63 - 1  # above all keys
PAGE = 10_000  # versions that are read at a time
RECENT = 20_000  # cubes that are held in RAM before they are merged into the files, at least,
SHARE = 0.05  # and as a share of those in files
NEAR = "near"  # the folder of the vector index


class LargeSnapshot(Snapshot):
    """A corpus in files. Not safe for threads.

    A search costs what its candidates cost: a millisecond for each hundred thousand cubes that have one of its rarer words,
    a search of the vector index, and the scores of some thousand cubes. Links are not followed.
    """

    corpus: MappedCorpus

    def __init__(self, corpus: MappedCorpus, folder: Path, model: int | None) -> None:
        super().__init__(corpus)
        self.corpus = corpus
        self.folder, self.model, self.complete = folder, model, True
        self.generation = files.generation(folder)  # of the files
        self._erased = False  # whether the files have what was erased

    @classmethod
    def make(cls, store: Store, model: int | None) -> LargeSnapshot:
        """Make the index of a space from its rows. About 60 us a cube; a page of them is in RAM at a time."""
        folder = store.bulk.folder
        if folder is None:
            raise IndexDamaged("this store has no folder for an index.")
        with store.transaction(write=False):
            seq = store.changes(2**62, model).seq
            snapshot, first = None, 0
            while first < LAST and (found_at := store.bulk.next_key(first)) is not None:  # a damaged key may be huge
                first = found_at + PAGE
                rows = store.bulk.between(found_at, min(first, LAST), model)
                if snapshot is None:
                    snapshot = cls(MappedCorpus(MappedRows(_dimension(rows)), None), folder, model)
                snapshot.corpus.add(rows)
                if snapshot.corpus.mapped.recent > max(10 * PAGE, len(snapshot.corpus) // 4):
                    snapshot.corpus.mapped.merge()
        found = snapshot or cls(MappedCorpus(MappedRows(0), None), folder, model)
        found.seq = seq
        found.corpus.near = _near(found.corpus.rows, folder)
        found.save()
        return found

    def save(self) -> None:
        """Write what changed to the folder. O(N): two seconds for a million cubes."""
        self.corpus.mapped.merge()
        self.corpus.forget()
        columns.save(self.corpus, self.folder, self.seq, self.model)
        if self.corpus.near is not None:
            self.corpus.near.save(self.folder / NEAR)
        self.generation, self._erased = files.generation(self.folder), False

    @classmethod
    def open(cls, folder: Path, model: int | None) -> LargeSnapshot:
        """Open the index that `save` wrote. Raises IndexDamaged for one that is missing, damaged, or of another model."""
        corpus, seq = columns.open(folder, model)
        near: VectorIndex | None = None
        if corpus.rows.dimension:
            near = DiskIndex.open(folder / NEAR)
            if len(near) != int(corpus.rows.present.sum()):
                raise IndexDamaged(f"{folder / NEAR} has other vectors than {folder}: make the index again.")
        corpus.near = near
        snapshot = cls(corpus, folder, model)
        snapshot.seq = seq
        return snapshot

    @property
    def is_last(self) -> bool:
        """Whether no other process has written the files since."""
        return files.generation(self.folder) == self.generation

    def apply(self, changes: Changes) -> bool:
        """Apply the changes since `seq`. Call `settle` once they are committed."""
        start, dimension = len(self.corpus), self.corpus.rows.dimension
        if any(row.vector is not None and row.vector.shape[-1] != dimension for row in changes.rows):
            return False
        if not super().apply(changes):
            return False
        new = start + np.flatnonzero(self.corpus.rows.present[start:])
        if len(new) and self.corpus.near is not None:
            self.corpus.near.add(new, self.corpus.rows.take(new))
        if changes.gone:
            gone = self.corpus.positions_of(np.array(changes.gone, dtype=np.int64))
            if self.corpus.near is not None:
                self.corpus.near.remove(gone[gone >= 0])
            self.corpus.forget()
            self._erased |= bool((gone >= 0).any())
        return True

    def settle(self) -> bool:
        """Write the files if something was erased, or if much was added: O(N) then.

        Return False where another process has written them meanwhile: then they have to be opened again.
        """
        if not self._erased and self.corpus.mapped.recent <= max(RECENT, SHARE * len(self.corpus)):
            return True
        with files.locked(self.folder):
            if not self.is_last:
                return False
            self.save()
        return True

    def link(self, links: Sequence[tuple[int, int, float]]) -> None:
        """Do nothing: in a large space scores do not spread along links."""

    def believed(self, as_of: int) -> Snapshot:
        """Return what was believed at a moment: the versions of then, with the neighbours and frequencies of now."""
        return Past(self, as_of)

    def rank(self, retriever: Retriever, query: Query, k: int, *, allow: Allow = None) -> list[Ranked]:
        """Return the `k` best cubes of the excerpt around the candidates."""
        part, shown = self._excerpt(query, allow)
        return Snapshot(part).rank(retriever, query, k, allow=shown)

    def rank_sessions(self, retriever: Retriever, query: Query, k: int, *, allow: Allow = None) -> list[RankedSession]:
        """Return the `k` best sessions of the excerpt around the candidates."""
        part, shown = self._excerpt(query, allow)
        return Snapshot(part).rank_sessions(retriever, query, k, allow=shown)

    def around(self, keys: Sequence[int], query: Query) -> Excerpt:
        """Return an excerpt that has these keys."""
        positions = np.unique(self.corpus.positions(np.array(keys, dtype=np.int64)))
        return Excerpt(self.corpus, self.corpus.around(positions), query)

    def _excerpt(self, query: Query, allow: Allow) -> tuple[Excerpt, Allow]:
        corpus = self.corpus
        shown = corpus.alive if allow is None else corpus.alive & allow
        positions = corpus.around(corpus.candidates(query, shown))
        return Excerpt(corpus, positions, query), shown[positions]

    def _view(self, allow: Allow) -> View:
        raise NotImplementedError("a large space is searched by excerpts.")


class Past(LargeSnapshot):
    """A large snapshot as it was believed at a moment."""

    def __init__(self, now: LargeSnapshot, as_of: int) -> None:
        super().__init__(now.corpus, now.folder, now.model)
        self._then = (now.corpus.learned <= as_of) & (as_of < now.corpus.replaced)

    def _excerpt(self, query: Query, allow: Allow) -> tuple[Excerpt, Allow]:
        corpus, shown = self.corpus, self._then if allow is None else self._then & allow
        positions = corpus.around(corpus.candidates(query, shown))
        part = Excerpt(corpus, positions, query)
        part.alive = self._then[positions]
        return part, shown[positions]


def _dimension(rows: Sequence[IndexRow]) -> int:
    return next((r.vector.shape[-1] for r in rows if r.vector is not None), 0)


def _near(rows: MappedRows, folder: Path) -> VectorIndex | None:
    """Return an index of all vectors, by row."""
    if not rows.dimension:
        return None
    there = np.flatnonzero(rows.present)

    def chunks() -> Iterator[tuple[Keys, Floats]]:
        for start in range(0, len(there), PAGE):
            part = there[start : start + PAGE]
            yield part, rows.take(part)

    return DiskIndex.build(folder / NEAR, rows.dimension, chunks, len(there))
