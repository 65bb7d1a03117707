"""Copy a space from one store to another, row by row, and compare the two.

A copy reads one state of the space and writes it in batches; each batch records how far it has got, in the transaction of its
rows. One that was killed goes on from there, if the space has not changed since.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from mnemos.errors import StoreCorrupt
from mnemos.store.base import Store
from mnemos.store.records import TABLES, Digest, Position, digests, pages
from mnemos.store.values import WEIGHTS, Filter

MARK, DONE = "moving", "moved"  # in `meta` of the copy: how far it has got; what it was when it was finished
ALL = 1_000_000  # cubes of weights read at once
Digests = dict[str, Digest]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a copy has got: behind `position` of table number `table`. `of` is what is copied."""

    of: Digests
    table: int = 0
    position: Position | None = None

    @staticmethod
    def read(store: Store) -> Mark | None:
        """Return the mark of an unfinished copy; None when there is none."""
        if not (text := store.meta.get(MARK)):
            return None
        data = json.loads(text)
        return Mark(_read(data["of"]), data["table"], data["position"])

    def write(self, store: Store) -> None:
        """Record this."""
        store.meta.set(MARK, json.dumps({"of": self.of, "table": self.table, "position": self.position}))


def digests_of(store: Store, progress: Progress = lambda done: None, *, blobs: bool = True) -> Digests:
    """Return the digests of everything in a space, at one moment; of payloads that are not text with `blobs`."""
    with store.transaction(write=False):
        return digests(store.records, store.blobs if blobs else None, store.space, progress)


def moved(store: Store) -> Digests | None:
    """Return what a copy was when it was finished; None for a space that is no copy."""
    text = store.meta.get(DONE)
    return _read(json.loads(text)) if text else None


def copy(source: Store, target: Store, wanted: Digests, progress: Progress = lambda done: None) -> None:
    """Copy all that a space holds to an empty one, or go on with a copy of the same that was interrupted.

    `wanted` are the digests of the source, which is read in the transaction of the caller; payloads that are not text are
    copied if it has theirs. Raises StoreCorrupt when what was written is something else.
    """
    mark = Mark.read(target) or Mark(wanted)
    for number in range(mark.table, len(TABLES)):
        start = mark.position if number == mark.table else None
        for rows, position in pages(source.records, TABLES[number], source.space, start):
            with target.transaction():
                if rows:
                    target.records.write(TABLES[number], rows)
                following = (number + 1, None) if position is None else (number, position)
                Mark(wanted, *following).write(target)
            progress(len(rows))
    payloads = "blobs" in wanted
    for name in sorted(source.blobs.ids()) if payloads else ():
        with source.blobs.local(name) as path:
            target.blobs.write(name, path.read_bytes())
    found = digests_of(target, progress, blobs=payloads)
    if found != wanted:
        wrong = [name for name in wanted if found[name] != wanted[name]]
        raise StoreCorrupt(
            f"the copy of space {source.space!r} differs from it in {', '.join(wrong)}. Nothing was removed: run `mnemos doctor "
            f"-s {source.space}` where it came from, remove the copy, and try again."
        )
    with target.transaction():
        target.meta.set(DONE, json.dumps(found))
        target.meta.set(MARK, "")


def copy_weights(source: Store, target: Store) -> None:
    """Copy the payloads of weights, as backups hold them; one that is missing is left out, with a warning."""
    for _, cube in source.select(Filter(kind=WEIGHTS, state=None), limit=ALL):
        try:
            with source.blobs.local(cube.id) as path:
                target.blobs.write(cube.id, path.read_bytes())
        except StoreCorrupt as error:
            warnings.warn(f"the copy is without weights {cube.id}: {error}", RuntimeWarning, stacklevel=2)


def _read(data: dict[str, list[object]]) -> Digests:
    return {name: (int(str(count)), str(digest)) for name, (count, digest) in data.items()}
