"""Mnemos: opens a root and its spaces."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack
from weakref import WeakValueDictionary

from mnemos.arguments import check_count, check_text, check_texts
from mnemos.cube import Hit, Hits, utc_now
from mnemos.embed import Embedder, load
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreError
from mnemos.location import DatabaseUrl, Location, locate
from mnemos.reason import load_reasoner
from mnemos.reason.base import Reasoner
from mnemos.space import SearchMethod, Space
from mnemos.store.backups import BackupSet, files_in, save_all
from mnemos.store.open import open_root
from mnemos.store.pool import Pool, open_limit
from mnemos.store.values import Salvaged
from mnemos.text.base import System
from mnemos.text.memory import TextMemory
from mnemos.text.recall.filters import Filters, Time
from mnemos.text.recall.many import enough
from mnemos.zones import LOCAL, check_zone

RRF = 60  # the constant of reciprocal rank fusion (Cormack et al. 2009), used to fuse several spaces


def default_root() -> Location:
    """Return the root used when none is given: $MNEMOS_ROOT, or the user's data folder."""
    if root := os.environ.get("MNEMOS_ROOT"):
        return locate(root)
    from platformdirs import user_data_path

    return user_data_path("mnemos", appauthor=False)


class Mnemos:
    """A root of spaces: a folder, with nothing to start and nothing to configure, or a database; a context manager.

    `root` is the folder, or the URL of a Postgres database with pgvector, "postgresql://USER@HOST/DATABASE", which many
    processes and machines may share; it needs the extra `postgres`. `Mnemos.root` shows no password.

    `embedder` is "bundled" (the default), "none" (words only), another spec of `mnemos.embed.load`, or an `Embedder`.
    `clock` returns the current time; tests and simulations pass their own. `reasoner` is "rules" (the default),
    "openai:MODEL@URL" or a `Reasoner`; only `Space.consolidate` asks a model. `actor` is the name in the audit log
    (default: $MNEMOS_ACTOR, or "local"). `timezone` is the zone of spaces that have none of their own (see
    `Space.timezone`; default: $MNEMOS_TIMEZONE, or the zone of this machine).

    At most `max_open` spaces have their files open and their index in RAM (default: $MNEMOS_MAX_OPEN, or what half of
    the process's file descriptors suffice for, at most 256). The least recently used one that no call is at work in is
    closed first; a `Space` of it opens the file again on its next verb. Safe for threads; a space that is slow to open
    keeps nobody else waiting.

    A space that may not be written (a read-only disk, file or folder) is opened for reading, and all spaces with
    `read_only`: verbs that read work, those that write raise ReadOnly, and recalls are not counted.

    Payloads that are not text (keys and values, adapters) are beside the spaces, or below `blobs` (default: $MNEMOS_BLOBS), a
    folder or a URL such as "s3://BUCKET/PREFIX" that fsspec opens; see the extra `buckets`.

    Raises StoreError if the root cannot be created or is not a folder, or the database cannot be used; InvalidInput for
    a URL that is none.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | DatabaseUrl | None = None,
        *,
        embedder: str | Embedder | None = None,
        clock: Callable[[], datetime] | None = None,
        reasoner: str | Reasoner | None = None,
        actor: str | None = None,
        timezone: str | None = None,
        max_open: int | None = None,
        read_only: bool = False,
        blobs: str | None = None,
    ) -> None:
        self.root = locate(root) if root is not None else default_root()
        self.embedder = load(embedder)
        self.clock = clock or utc_now
        self.reasoner = load_reasoner(reasoner)
        self.actor = actor or os.environ.get("MNEMOS_ACTOR") or "local"
        self.timezone = check_zone(timezone or os.environ.get("MNEMOS_TIMEZONE") or LOCAL)
        self.pool = Pool(open_limit(max_open))
        self.blobs = blobs or os.environ.get("MNEMOS_BLOBS") or None
        self.stores = open_root(self.root, self.actor, self.clock, self.pool, read_only=read_only, blobs=self.blobs)
        self._spaces: WeakValueDictionary[str, Space] = WeakValueDictionary()  # the pool holds those that are open
        self._systems: dict[str, System] = {}  # of spaces for which one was chosen
        self._opening: WeakValueDictionary[str, Any] = WeakValueDictionary()  # locks of names that are being opened
        self._lock = threading.Lock()

    def space(self, name: str, system: str | System | None = None) -> Space:
        """Return the space of this name, created on first use. Costs a file open the first time.

        `system` names the methods of its text memory ("mnemos", the default, "bm25", "memorybank", ...; `mnemos methods`
        lists them), or is a `System`. It is used until the space is closed and is not stored. Raises NotFound for an
        unknown system, with the nearest names.
        """
        from mnemos.text.system import DEFAULT, load_system  # imports every method of the default system

        wanted = None if system is None else load_system(system)
        with self._only(check_text(name, "name")):
            if wanted is not None:
                self._systems[name] = wanted
            space = self._spaces.get(name)
            if space is None or space.store.ended:
                store = self.stores.open(name)
                chosen = self._systems.get(name, DEFAULT)
                text = TextMemory(name, store, self.embedder, self.clock, self.reasoner, chosen, self.timezone)
                space = Space(text)
                store.before_suspend(partial(_rest, space))  # the pool keeps an open space alive
                self._spaces[name] = space
            elif wanted is not None and wanted != space.text.system:
                space.text.use(wanted)
            return space

    @contextmanager
    def _only(self, name: str) -> Iterator[None]:
        """Let one thread at a time open or close the space of a name; other names do not wait."""
        with self._lock:
            lock = self._opening.setdefault(name, threading.RLock())
        with lock:
            yield

    def spaces(self) -> list[str]:
        """Return the names of all spaces under the root, sorted. Reads one row of each file.

        A file that cannot be read is left out, with a warning that names it. Raises StoreError when no file at all can be
        opened, since the process has no descriptors left.
        """
        found = self.stores.inventory()
        for problem in (space.problem for space in found if space.name is None):
            warnings.warn(problem, stacklevel=2)
        return sorted(space.name for space in found if space.name is not None)

    def __contains__(self, name: str) -> bool:
        return self.stores.exists(name)

    def existing(self, name: str) -> Space:
        """Return a space that exists. Raises NotFound for one that does not."""
        self._check_there(name)
        return self.space(name)

    def _check_there(self, *names: str) -> None:
        for name in names:
            if name not in self:
                raise NotFound(f"there is no space {name!r} under {self.root}: `mnemos spaces` lists them.")

    def release(self, name: str) -> None:
        """Close a space and free its memory; the next `space` opens it again."""
        with self._only(name):
            self._systems.pop(name, None)
            if (space := self._spaces.pop(name, None)) is not None:
                space.close()

    def backup(self, name: str, path: str | os.PathLike[str]) -> Path:
        """Copy a space to a file or into a folder and return the file. The space may be in use.

        The copy is consistent: the space as it is at one moment, read back and checked. In a folder it is named after the
        space and the time. Raises NotFound, and InvalidInput if the file exists.
        """
        with suppress(StoreError):  # recall counts
            self.existing(name).flush()
        return self.stores.backup(name, Path(path))

    def backup_all(self, folder: str | os.PathLike[str], *, keep: int | None = None) -> BackupSet:
        """Copy every space into a new folder below `folder`, named after the time; return what was saved.

        It takes its name when all is written and checked. A space that cannot be read is named in `problems`. With `keep`
        older sets are removed but for the newest `keep`, only such as this made, and none if there were problems.
        """
        if keep is not None:
            check_count(keep, "keep")
        for space in list(self._spaces.values()):
            if not space.store.ended:
                with suppress(StoreError):  # recall counts
                    space.flush()
        return save_all(self.stores, Path(folder), self.clock(), keep)

    def restore_all(
        self, folder: str | os.PathLike[str], *, replace: bool = False, settings: bool = False
    ) -> list[Space]:
        """Restore every space of a set that `backup_all` wrote, or of the newest complete set in a folder of sets.

        Takes the options of `restore` and raises what it raises: spaces that were restored before an error stay so.
        Without `replace` nothing is restored if one of the spaces exists.
        """
        files = files_in(Path(folder))
        if not replace and (there := [name for name in files if name in self]):
            raise Conflict(f"there is a space {there[0]!r} already: replace existing spaces, or move them away.")
        return [self.restore(file, name=name, replace=replace, settings=settings) for name, file in files.items()]

    def restore(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        replace: bool = False,
        settings: bool = False,
    ) -> Space:
        """Restore a space from a backup, under its own name or another one, and return it. The backup is checked first.

        A file from elsewhere may hold more than memories. Triggers, views and unknown tables are left out. So are the
        settings `trust` and `secrets`, unless `settings` is set or the space that is replaced has the same, and the trust
        in weights (they are attached by name only until they are measured), unless `settings` is set; `policy` is taken.
        A warning names what was left out, and a policy. Raises InvalidInput for a file that is no backup, StoreCorrupt
        for a damaged one, and Conflict if a space of this name exists, unless `replace` is set.
        """
        restored, left_out = self.stores.restore(
            Path(path), name=name, replace=replace, release=self.release, settings=settings
        )
        for what in left_out:
            warnings.warn(
                f"{path}: {what} was left out. See `Mnemos.restore`, or `mnemos restore --help`.", stacklevel=2
            )
        space = self.space(restored)
        if space.policy != space.text.default_policy:
            warnings.warn(f"{path}: it brought its own policy of forgetting, {space.policy}.", stacklevel=2)
        return space

    def salvage(self, name: str) -> Salvaged:
        """Save what can be read of a space that is too damaged to be opened, and keep the damaged file beside the new one.

        `Space.doctor` does it for one that can be opened. Raises NotFound, and StoreCorrupt when nothing can be read.
        """
        self.release(name)
        return self.stores.salvage(name)

    def remove(self, name: str) -> None:
        """Remove a space and everything in it: its files are overwritten with zeros and deleted. Raises NotFound."""
        self._check_there(name)
        self.release(name)
        self.stores.remove(name)

    def search(
        self,
        query: str,
        k: int | None = None,
        *,
        spaces: Iterable[str],
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        min_score: float | None = None,
        **filters: Unpack[Filters],
    ) -> Hits:
        """Search several spaces at once; `hit.space` is the space of a hit.

        The lists are fused by reciprocal rank (scores of different spaces are not comparable): `score` is
        1 / (60 + rank in its own space), `why` has the signals of that space. Takes the options of
        `Space.search`. No space is left out: raises NotFound for one that does not exist, and StoreError for one that
        cannot be read. `confidence` is that of the best space.
        """
        names = list(dict.fromkeys(check_texts(spaces, "spaces")))
        if not names:
            raise InvalidInput("search() needs at least one space: pass spaces=[...].")
        self._check_there(*names)
        fused: list[tuple[float, int, Hit]] = []
        found = Hits()
        for name in names:
            hits = self.existing(name).search(
                query, k, asked_at=asked_at, method=method, min_score=min_score, **filters
            )
            found.confidence = max(found.confidence, hits.confidence)
            found.answerable |= hits.answerable
            fused += [(1.0 / (RRF + i), -i, replace(hit, score=1.0 / (RRF + i))) for i, hit in enumerate(hits, 1)]
        fused.sort(key=lambda item: item[:2], reverse=True)
        found += (hit for *_, hit in fused[: enough(query) if k is None else k])
        return found

    def close(self) -> None:
        """Close all spaces, and the connections to a database."""
        for name in list(self._spaces):
            self.release(name)
        self.stores.close()

    def __enter__(self) -> Mnemos:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rest(space: Space) -> bool:
    """Free the RAM of a space whose file is about to be closed, unless it is at work; return whether it was freed."""
    return space.text.rest()
