"""Mnemos: opens a root and hands out spaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Unpack

from mnemos.arguments import check_text, check_texts
from mnemos.cube import Hit, utc_now
from mnemos.embed import Embedder, load
from mnemos.errors import InvalidInput, NotFound, StoreError
from mnemos.reason import load_reasoner
from mnemos.reason.base import Reasoner
from mnemos.space import SearchMethod, Space
from mnemos.store.blobs import Blobs
from mnemos.store.sqlite.connection import space_name
from mnemos.store.sqlite.names import SUFFIX, file_name
from mnemos.store.sqlite.store import SqliteStore
from mnemos.text.memory import TextMemory
from mnemos.text.recall.filters import Filters, Time

RRF = 60  # the constant of reciprocal rank fusion (Cormack et al. 2009), used to fuse several spaces


def default_root() -> Path:
    """Return the folder used when no root is given: $MNEMOS_ROOT, or the user's data folder."""
    if root := os.environ.get("MNEMOS_ROOT"):
        return Path(root).expanduser()
    from platformdirs import user_data_path

    return user_data_path("mnemos", appauthor=False)


class Mnemos:
    """A root folder of spaces. Nothing to start, nothing to configure; a context manager.

    `embedder` is "bundled" (the default), "none" (words only), another spec that `mnemos.embed.load` takes, or
    an `Embedder`. `clock` tells the time; tests and simulations inject their own. `reasoner` is "rules" (the default),
    "openai:MODEL@URL" or a `Reasoner`: a model is asked by `Space.consolidate` only. `actor` is who the audit log names
    (default: $MNEMOS_ACTOR, or "local").

    Raises StoreError when the root cannot be made or is not a folder.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        embedder: str | Embedder | None = None,
        clock: Callable[[], datetime] | None = None,
        reasoner: str | Reasoner | None = None,
        actor: str | None = None,
    ) -> None:
        self.root = Path(root).expanduser() if root is not None else default_root()
        self.embedder = load(embedder)
        self.clock = clock or utc_now
        self.reasoner = load_reasoner(reasoner)
        self.actor = actor or os.environ.get("MNEMOS_ACTOR") or "local"
        self._spaces: dict[str, Space] = {}
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot use {self.root} as the root ({error.strerror}). Give a folder that you may write to."
            ) from error

    def space(self, name: str) -> Space:
        """Return the space of this name, made on first use. Costs a file open the first time."""
        if check_text(name, "name") not in self._spaces:
            store = SqliteStore(self.root / file_name(name), name, actor=self.actor, clock=self.clock)
            if (found := store.meta("space")) != name:
                store.close()
                raise StoreError(f"{store.path} holds the space {found!r}, not {name!r}. Rename the file back.")
            self._spaces[name] = Space(TextMemory(name, store, self.embedder, self.clock, self.reasoner))
        return self._spaces[name]

    def spaces(self) -> list[str]:
        """Return the names of all spaces under the root, sorted. Reads one row of each file.

        A file that cannot be read is left out with a warning that names it.
        """
        return sorted(name for path in self.root.glob("*" + SUFFIX) if (name := space_name(path)) is not None)

    def __contains__(self, name: str) -> bool:
        return (self.root / file_name(name)).exists()

    def existing(self, name: str) -> Space:
        """Return a space that is there. Raises NotFound for one that is not."""
        if name not in self:
            raise NotFound(f"there is no space {name!r} under {self.root}: `mnemos spaces` lists them.")
        return self.space(name)

    def release(self, name: str) -> None:
        """Close a space and free its RAM; the next `space` opens it again."""
        if (space := self._spaces.pop(name, None)) is not None:
            space.close()

    def backup(self, name: str, path: str | os.PathLike[str]) -> Path:
        """Copy a space, in use or not, to a file or into a folder; see `mnemos.store.sqlite.backup`."""
        from mnemos.store.sqlite.backup import backup

        return backup(self, name, Path(path))

    def restore(self, path: str | os.PathLike[str], *, name: str | None = None, replace: bool = False) -> Space:
        """Put a backup back and return the space; see `mnemos.store.sqlite.backup`."""
        from mnemos.store.sqlite.backup import restore

        return self.space(restore(self, Path(path), name=name, replace=replace))

    def remove(self, name: str) -> None:
        """Remove a space and everything in it: its file is overwritten with zeros and deleted.

        Raises NotFound when there is no such space.
        """
        path = self.root / file_name(name)
        if not path.exists():
            raise NotFound(f"there is no space {name!r} under {self.root}: `mnemos spaces` lists them.")
        if (space := self._spaces.pop(name, None)) is not None:
            space.close()
        for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            if part.exists():
                with part.open("r+b") as file:
                    for _ in range(0, part.stat().st_size, 1 << 20):
                        file.write(bytes(1 << 20))
                    os.fsync(file.fileno())
                part.unlink()
        Blobs(path).remove()

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        spaces: Iterable[str],
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> list[Hit]:
        """Search several spaces at once; each hit says which space it came from.

        The lists are fused by reciprocal rank (scores of different spaces are not comparable): `score` is
        1 / (60 + rank in its own space), `why` keeps the signals of that space. Takes the options of
        `Space.search`. Raises NotFound for a space that does not exist.
        """
        names = list(dict.fromkeys(check_texts(spaces, "spaces")))
        if not names:
            raise InvalidInput("search() needs at least one space: give spaces=[...].")
        fused = [
            (1.0 / (RRF + rank), -rank, Hit(hit.cube, 1.0 / (RRF + rank), hit.why))
            for space in [self.existing(name) for name in names]
            for rank, hit in enumerate(space.search(query, k, asked_at=asked_at, method=method, **filters), 1)
        ]
        fused.sort(key=lambda item: item[:2], reverse=True)
        return [hit for *_, hit in fused[:k]]

    def close(self) -> None:
        """Close all spaces."""
        for space in self._spaces.values():
            space.close()
        self._spaces.clear()

    def __enter__(self) -> Mnemos:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
