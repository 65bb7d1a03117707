"""Access of a request to spaces: the pool of open spaces, and the checks of a key's rights."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from weakref import WeakValueDictionary

from mnemos.embed import Embedder
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound, StoreBusy, StoreError
from mnemos.serve.keys import Key
from mnemos.space import Space
from mnemos.store.audit import acting
from mnemos.store.locks import try_lock
from mnemos.system import Mnemos

WAIT = 30.0  # seconds that a removal waits for the requests in the space
SCANNING = 1.0  # seconds that a scan of all spaces waits for one to open
OPENING = 10.0  # seconds that a request waits for its space to open
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Forbidden(MnemosError):
    """The key may read the space, but lacks the right that the request needs."""


class Opening:
    """A space that a thread is opening: others wait for `done`, and no longer than they like."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.space: Space | None = None  # keeps it until those who wait have it


class SpacePool:
    """The spaces behind a server: opened on demand, removed only when nobody is at work in them.

    How many are open at once is up to the pool of the `Mnemos`. Files are opened by threads of their own and never under
    a lock that others need: a space that is slow to open, because it is locked or migrated or its disk hangs, delays the
    requests to it and no others.
    """

    def __init__(self, memory: Mnemos, wait: float = OPENING) -> None:
        self.memory = memory
        self.wait = wait
        self._change = threading.Condition()
        self._open: WeakValueDictionary[str, Space] = WeakValueDictionary()  # those that the `Mnemos` has opened
        self._uses: Counter[str] = Counter()  # space -> requests in it
        self._opening: dict[str, Opening] = {}
        self._leaving: set[str] = set()  # spaces that are being closed or removed
        self._exclusive: set[str] = set()

    @contextmanager
    def use(
        self, name: str, *, create: bool = False, exclusive: bool = False, scanning: bool = False
    ) -> Iterator[Space]:
        """Yield a space, open while requests use it.

        Only one request at a time may be `exclusive` in a space, such as a consolidation. With `scanning` the space is
        not waited for when it is slow to open, and closed if it was closed before. Raises NotFound, Conflict, StoreBusy.
        """
        space, opened = self._enter(name, create, exclusive, scanning)
        try:
            yield space
        finally:
            with self._change:
                self._uses[name] -= 1
                if not self._uses[name]:
                    del self._uses[name]
                if exclusive:
                    self._exclusive.discard(name)
                surplus = scanning and opened and name not in self._uses and name not in self._leaving
                if surplus:
                    self._leaving.add(name)
                self._change.notify_all()
            if surplus:
                self._close(name)

    def _enter(self, name: str, create: bool, exclusive: bool, scanning: bool) -> tuple[Space, bool]:
        """Count a request in a space; return the space, and whether it had to be opened."""
        until, opened = time.monotonic() + WAIT, False
        while True:
            with self._change:
                if not self._change.wait_for(lambda: name not in self._leaving, max(0.0, until - time.monotonic())):
                    raise StoreBusy(f"the space {name!r} is being closed or removed. Try again later.")
            if not create and name not in self.memory:
                raise missing(name)
            with self._change:
                if name in self._leaving:
                    continue
                if exclusive and name in self._exclusive:
                    raise Conflict(f"another consolidation is running in space {name!r}. Wait until it has finished.")
                space = self._open.get(name)
                if space is not None and (not space.store.closed or opened):
                    self._uses[name] += 1
                    if exclusive:
                        self._exclusive.add(name)
                    return space, opened
                opening = self._start(name)
            if not opening.done.wait(min(self.wait, SCANNING) if scanning else self.wait):
                raise StoreBusy(
                    f"the space {name!r} is still being opened: its file may be locked or its disk slow. Try again later."
                )
            if opening.error is not None:
                raise opening.error
            opened = True

    def _start(self, name: str) -> Opening:
        """Return the opening of a space, begun if nobody has."""
        if (opening := self._opening.get(name)) is None:
            self._opening[name] = opening = Opening()
            threading.Thread(target=self._open_space, args=(name, opening), daemon=True).start()
        return opening

    def _open_space(self, name: str, opening: Opening) -> None:
        """Open a space and tell those who wait."""
        space = None
        try:
            space = self.memory.space(name)
            with space.store.transaction(write=False):
                pass  # opens the file if the space was suspended
        except BaseException as error:  # whoever waits raises it
            opening.error = error
        with self._change:
            del self._opening[name]
            if space is not None:
                self._open[name] = opening.space = space
            opening.done.set()
            self._change.notify_all()

    def _close(self, name: str) -> None:
        """Close a space that is marked as leaving."""
        try:
            self.memory.release(name)
        finally:
            self._left(name)

    def _left(self, name: str) -> None:
        with self._change:
            self._open.pop(name, None)
            self._leaving.discard(name)
            self._change.notify_all()

    @contextmanager
    def try_use(self, name: str) -> Iterator[Space | None]:
        """Yield a space if it is open and the pool is not changing, without blocking; else None.

        The pool cannot change in the meantime.
        """
        with try_lock(self._change) as locked:
            space = self._open.get(name) if locked and name not in self._leaving else None
            yield space if space is not None and not space.store.closed and name in self.memory else None

    def remove(self, name: str) -> None:
        """Remove a space once no request uses it. Raises NotFound, and StoreBusy when it stays in use."""
        busy = StoreBusy(f"the space {name!r} is in use. Nothing was removed. Try again later.")
        with self._change:
            if not self._change.wait_for(lambda: name not in self._leaving, WAIT):
                raise busy
            self._leaving.add(name)
        try:
            if name not in self.memory:
                raise missing(name)
            with self._change:
                if not self._change.wait_for(lambda: name not in self._uses and name not in self._opening, WAIT):
                    raise busy
            self.memory.remove(name)
        finally:
            self._left(name)


class Access:
    """The access of one request, checked against its key. Routes get spaces only from here."""

    def __init__(self, pool: SpacePool, key: Key, space: str = "") -> None:
        self._pool = pool
        self.key = key
        self.name = space

    @contextmanager
    def open(
        self, right: str, *more: str, create: bool = False, exclusive: bool = False, audited: bool = False
    ) -> Iterator[Space]:
        """Yield the space of the request if the key has all these rights in it. At least one right is required.

        With `audited` a read may write what follows from the rows, in the name of the key.
        A space that the key may not read looks like one that does not exist. Raises NotFound and Forbidden.
        """
        self.check(right, *more)
        # reads are not audited, and a streamed response is produced in several contexts
        reads = (right, *more) == ("read",) and not audited
        actor = nullcontext() if reads else acting(f"key {self.key.id}")
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
        check_rights(self.key, self.name, right, *more)

    def remove(self) -> None:
        """Remove the space of the request. Needs the right admin."""
        self.check("admin")
        self._pool.remove(self.name)

    def spaces(self, right: str = "read") -> list[str]:
        """Return the names of the spaces in which the key has a right."""
        return [name for name in self._pool.memory.spaces() if self.key.may(right, name)]

    def each(self, right: str) -> Iterator[Space | None]:
        """Yield each space in which the key has a right, None for one that cannot be opened or is slow to open."""
        for name in self.spaces(right):
            try:
                with self._pool.use(name, scanning=True) as space:
                    yield space
            except NotFound:  # removed in the meantime
                continue
            except StoreError:
                yield None

    def require(self, right: str) -> None:
        """Raise Forbidden unless the key has a right, whatever its spaces: for requests that concern no space."""
        if right not in self.key.rights:
            raise Forbidden(f"this key lacks the right {right}.")


def check_rights(key: Key, space: str, *rights: str) -> None:
    """Raise unless a key has all these rights in a space: NotFound if it may not read it, else Forbidden."""
    if lacking := [right for right in rights if not key.may(right, space)]:
        if "read" in lacking or not key.may("read", space):
            raise missing(space)
        raise Forbidden(f"this key lacks the right to {' and '.join(lacking)} here.")


def missing(name: str) -> NotFound:
    """Return the error for a space that does not exist or that a key may not know about."""
    return NotFound(f"there is no space {name!r}.")
