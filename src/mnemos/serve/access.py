"""Access of a request to spaces: the pool of open spaces, and the checks of a key's rights."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from mnemos.embed import Embedder
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound, StoreBusy, StoreError
from mnemos.serve.keys import Key
from mnemos.space import Space
from mnemos.store.audit import acting
from mnemos.store.locks import try_lock
from mnemos.system import Mnemos

WAIT = 30.0  # seconds that a removal waits for the requests in the space
MAX_OPEN = 128  # spaces; the least recently used one is closed first
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Forbidden(MnemosError):
    """The key may read the space, but lacks the right that the request needs."""


class SpacePool:
    """The spaces behind a server: opened on demand, closed when long unused, removed only when nobody is at work."""

    def __init__(self, memory: Mnemos, max_open: int = MAX_OPEN) -> None:
        self.memory = memory
        self.max_open = max_open
        self._change = threading.Condition()
        self._uses: dict[str, int] = {}  # open space -> requests in it, the most recently used space last
        self._removing: set[str] = set()
        self._exclusive: set[str] = set()

    @contextmanager
    def use(
        self, name: str, *, create: bool = False, exclusive: bool = False, scanning: bool = False
    ) -> Iterator[Space]:
        """Yield a space, open while requests use it.

        Only one request at a time may be `exclusive` in a space, such as a consolidation. With `scanning` the space does
        not count as recently used. Raises NotFound, Conflict and StoreBusy.
        """
        with self._change:
            if not self._change.wait_for(lambda: name not in self._removing, WAIT):
                raise StoreBusy(f"the space {name!r} is being removed. Try again later.")
            if not create and name not in self.memory:
                raise missing(name)
            if exclusive and name in self._exclusive:
                raise Conflict(f"another consolidation is running in space {name!r}. Wait until it has finished.")
            space = self.memory.space(name)
            if scanning and name not in self._uses:
                self._uses = {name: 0, **self._uses}
            uses = self._uses[name] if scanning else self._uses.pop(name, 0)
            self._uses[name] = uses + 1
            if exclusive:
                self._exclusive.add(name)
            self._close_idle()
        try:
            yield space
        finally:
            with self._change:
                self._uses[name] -= 1
                if exclusive:
                    self._exclusive.discard(name)
                self._change.notify_all()

    @contextmanager
    def try_use(self, name: str) -> Iterator[Space | None]:
        """Yield a space if it is open and the pool is not changing, without blocking; else None.

        The pool cannot change in the meantime.
        """
        with try_lock(self._change) as locked:
            usable = locked and name in self._uses and name not in self._removing and name in self.memory
            yield self.memory.space(name) if usable else None

    def _close_idle(self) -> None:
        for name in [n for n, uses in self._uses.items() if not uses][: max(len(self._uses) - self.max_open, 0)]:
            del self._uses[name]
            self.memory.release(name)

    def remove(self, name: str) -> None:
        """Remove a space once no request uses it. Raises NotFound, and StoreBusy when it stays in use."""
        with self._change:
            if name in self._removing or name not in self.memory:
                raise missing(name)
            self._removing.add(name)
        try:
            with self._change:
                if not self._change.wait_for(lambda: not self._uses.get(name), WAIT):
                    raise StoreBusy(f"the space {name!r} is in use. Nothing was removed. Try again later.")
            self.memory.remove(name)
            self._uses.pop(name, None)
        finally:
            with self._change:
                self._removing.discard(name)
                self._change.notify_all()


class Access:
    """The access of one request, checked against its key. Routes get spaces only from here."""

    def __init__(self, pool: SpacePool, key: Key, space: str = "") -> None:
        self._pool = pool
        self.key = key
        self.name = space

    @contextmanager
    def open(self, right: str, *more: str, create: bool = False, exclusive: bool = False) -> Iterator[Space]:
        """Yield the space of the request if the key has all these rights in it. At least one right is required.

        A space that the key may not read looks like one that does not exist. Raises NotFound and Forbidden.
        """
        self.check(right, *more)
        # reads are not audited, and a streamed response is produced in several contexts
        actor = nullcontext() if (right, *more) == ("read",) else acting(f"key {self.key.id}")
        with self._pool.use(self.name, create=create, exclusive=exclusive) as space, actor:
            yield space

    @property
    def embedder(self) -> Embedder | None:
        """The embedder of all spaces."""
        return self._pool.memory.embedder

    @contextmanager
    def try_open(self) -> Iterator[Space | None]:
        """Yield the space of the request for reading if that does not block; see `SpacePool.try_use`."""
        self.check("read")
        with self._pool.try_use(self.name) as space:
            yield space

    def check(self, right: str, *more: str) -> None:
        """Raise unless the key has all these rights in the space of the request."""
        if _NOT_IN_NAMES.search(self.name) or {".", ".."} & set(re.split(r"[/\\]", self.name)):
            raise InvalidInput("the name of a space may not contain control characters, nor . or .. as a path segment.")
        if lacking := [needed for needed in (right, *more) if not self.key.may(needed, self.name)]:
            if "read" in lacking or not self.key.may("read", self.name):
                raise missing(self.name)
            raise Forbidden(f"this key lacks the right to {' and '.join(lacking)} here.")

    def remove(self) -> None:
        """Remove the space of the request. Needs the right admin."""
        self.check("admin")
        self._pool.remove(self.name)

    def spaces(self, right: str = "read") -> list[str]:
        """Return the names of the spaces in which the key has a right."""
        return [name for name in self._pool.memory.spaces() if self.key.may(right, name)]

    def each(self, right: str) -> Iterator[Space]:
        """Yield each space in which the key has a right, skipping those that cannot be opened."""
        for name in self.spaces(right):
            try:
                with self._pool.use(name, scanning=True) as space:
                    yield space
            except (NotFound, StoreError):
                continue

    def require(self, right: str) -> None:
        """Raise Forbidden unless the key has a right, whatever its spaces: for requests that concern no space."""
        if right not in self.key.rights:
            raise Forbidden(f"this key lacks the right {right}.")


def missing(name: str) -> NotFound:
    """Return the error for a space that does not exist or that a key may not know about."""
    return NotFound(f"there is no space {name!r}.")
