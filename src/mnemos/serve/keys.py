"""API keys and what they may do, and the one place that opens a space for a request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from mnemos.cube import from_micros, to_jsonable, to_micros, utc_now
from mnemos.embed import Embedder
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound, StoreBusy, StoreError
from mnemos.space import Space
from mnemos.store.audit import acting
from mnemos.store.locks import try_lock
from mnemos.store.open import open_keys
from mnemos.store.server import KeyRow
from mnemos.system import Mnemos

RIGHTS = ("read", "write", "erase", "admin")
FOLDER = "serve"  # under the root; no space can have this name, since their files end in .mnemos
WAIT = 30.0  # seconds that a removal waits for the requests that are at work in the space
OPEN = 128  # spaces that are kept open; the one unused longest is closed first
_TOKEN = re.compile(r"mnk_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Forbidden(MnemosError):
    """The key may read the space, but lacks the right that the request needs."""


@dataclass(frozen=True)
class Key:
    """What is known of a key: `spaces` are `fnmatch` patterns, `rights` some of read, write, erase and admin.

    `seal` is derived from the secret part, which is not kept; only the holder's requests bring it.
    """

    id: str
    name: str
    spaces: tuple[str, ...]
    rights: tuple[str, ...]
    made: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    seal: bytes = field(default=b"", repr=False)

    def may(self, right: str, space: str) -> bool:
        """Tell whether the key has a right in a space."""
        return right in self.rights and any(fnmatchcase(space, pattern) for pattern in self.spaces)

    def valid(self, now: datetime) -> bool:
        """Tell whether the key is neither expired nor revoked."""
        return self.state(now) == "valid"

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Tell how the key is."""
        if self.revoked is not None:
            return "revoked"
        return "valid" if self.expires is None or now < self.expires else "expired"

    def public(self) -> dict[str, Any]:
        """Return what may be told of the key: all but its seal."""
        data = to_jsonable(asdict(self))
        del data["seal"]
        return data


class KeyStore:
    """The keys of a root. Of a secret only a salted hash is kept: it has 256 random bits, so no slow hash is needed."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._keys = open_keys(path)
        self._lock = threading.RLock()
        self.clock = clock
        self._found: dict[bytes, Key] = {}  # by a hash of the token, while the file stays as it is
        self._of: object = None

    @staticmethod
    def under(root: Path, clock: Callable[[], datetime] = utc_now) -> KeyStore:
        """Return the keys of a root."""
        return KeyStore(root / FOLDER / "keys.sqlite", clock)

    def first(self) -> str | None:
        """Make a key that may do everything if there has never been any, and return it; else None."""
        token, row = self._make("admin", ("*",), RIGHTS, None)
        return token if self._keys.add(row, only_first=True) else None

    def add(
        self, name: str, *, spaces: Sequence[str], rights: Sequence[str], days: float | None = None
    ) -> tuple[str, Key]:
        """Make a key; return it, for the only time, and what is known of it. Raises InvalidInput."""
        if unknown := set(rights) - set(RIGHTS):
            raise InvalidInput(f"unknown right {sorted(unknown)}: use {', '.join(RIGHTS)}.")
        if not rights or not spaces or not all(spaces) or not name.strip():
            raise InvalidInput("a key needs a name, at least one right and at least one space (or pattern of spaces).")
        if days is not None and not 0 < days < 36_500:
            raise InvalidInput(f"a key cannot expire in {days} days: give a number above 0 and below 36,500.")
        until = None if days is None else self.clock() + timedelta(days=days)
        token, row = self._make(name, spaces, rights, until)
        self._keys.add(row)
        return token, _key(row)

    def _make(
        self, name: str, spaces: Sequence[str], rights: Sequence[str], until: datetime | None
    ) -> tuple[str, KeyRow]:
        key_id = base64.b32encode(os.urandom(5)).decode("ascii").lower()
        secret, salt = secrets.token_urlsafe(32), os.urandom(16)
        given = tuple(r for r in RIGHTS if r in rights)
        expires = None if until is None else to_micros(until)
        row = KeyRow(key_id, name, salt, _hash(secret, salt), tuple(spaces), given, to_micros(self.clock()), expires)
        return f"mnk_{key_id}_{secret}", row

    def find(self, token: str) -> Key | None:
        """Return the key of a token; None for one that is unknown, wrong, expired or revoked."""
        name = hashlib.blake2b(token.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if (token_now := self._keys.change_token()) != self._of:
                self._found, self._of = {}, token_now
            key = self._found.get(name) or self._read(token)
            if key is not None:
                self._found[name] = key
        return key if key is not None and key.valid(self.clock()) else None

    def _read(self, token: str) -> Key | None:
        match = _TOKEN.fullmatch(token)
        key_id, secret = (match[1], match[2]) if match else ("", "")
        row = self._keys.find(key_id)
        salt, wanted = (row.salt, row.hash) if row else (bytes(16), bytes(32))
        same = hmac.compare_digest(_hash(secret, salt), wanted)
        if row is None or not same:
            return None
        return replace(_key(row), seal=hashlib.blake2b(secret.encode(), person=b"mnemos seal").digest())

    def all(self) -> list[Key]:
        """Return all keys, oldest first, those expired and revoked too."""
        return [_key(row) for row in self._keys.all()]

    def revoke(self, key_id: str) -> Key:
        """Make a key invalid from now on, for servers that run too. Raises NotFound."""
        row = self._keys.revoke(key_id, to_micros(self.clock()))
        if row is None:
            raise NotFound(f"there is no key {key_id!r}: `mnemos keys list` shows those there are.")
        return _key(row)

    def check(self) -> None:
        """Raise StoreError unless the keys can be read."""
        self._keys.find("")

    def close(self) -> None:
        """Release the keys."""
        self._keys.close()


def _hash(secret: str, salt: bytes) -> bytes:
    return hashlib.blake2b(secret.encode(), salt=salt, person=b"mnemos api key", digest_size=32).digest()


def _key(row: KeyRow) -> Key:
    expires, revoked = (None if t is None else from_micros(t) for t in (row.expires, row.revoked))
    return Key(row.id, row.name, row.spaces, row.rights, from_micros(row.made), expires, revoked)


class SpacePool:
    """The spaces behind a server: opened on demand, closed when long unused, removed only when nobody is at work."""

    def __init__(self, memory: Mnemos, most: int = OPEN) -> None:
        self.memory = memory
        self.most = most
        self._change = threading.Condition()
        self._uses: dict[str, int] = {}  # of the open spaces, the one used last at the end
        self._leaving: set[str] = set()
        self._alone: set[str] = set()

    @contextmanager
    def use(self, name: str, *, create: bool = False, alone: bool = False, passing: bool = False) -> Iterator[Space]:
        """Give a space; with `alone` only if no other request holds it so, such as two consolidations.

        With `passing` it takes no other space's place among those that are kept open.
        """
        with self._change:
            if not self._change.wait_for(lambda: name not in self._leaving, WAIT):
                raise StoreBusy(f"the space {name!r} is being removed. Try again later.")
            if not create and name not in self.memory:
                raise missing(name)
            if alone and name in self._alone:
                raise Conflict(f"a run is under way in space {name!r}. Wait until it is done.")
            space = self.memory.space(name)
            if passing and name not in self._uses:
                self._uses = {name: 0, **self._uses}
            uses = self._uses[name] if passing else self._uses.pop(name, 0)
            self._uses[name] = uses + 1
            if alone:
                self._alone.add(name)
            self._close_idle()
        try:
            yield space
        finally:
            with self._change:
                self._uses[name] -= 1
                if alone:
                    self._alone.discard(name)
                self._change.notify_all()

    @contextmanager
    def unwaited(self, name: str) -> Iterator[Space | None]:
        """Give a space if it is open and nobody opens, closes or removes one; else None. Nobody does meanwhile."""
        with try_lock(self._change) as held:
            there = held and name in self._uses and name not in self._leaving and name in self.memory
            yield self.memory.space(name) if there else None

    def _close_idle(self) -> None:
        for name in [n for n, uses in self._uses.items() if not uses][: max(len(self._uses) - self.most, 0)]:
            del self._uses[name]
            self.memory.release(name)

    def remove(self, name: str) -> None:
        """Remove a space when no request is at work in it. Raises NotFound, and StoreBusy when it stays in use."""
        with self._change:
            if name in self._leaving or name not in self.memory:
                raise missing(name)
            self._leaving.add(name)
        try:
            with self._change:
                if not self._change.wait_for(lambda: not self._uses.get(name), WAIT):
                    raise StoreBusy(f"the space {name!r} is in use. Nothing was removed; try again later.")
            self.memory.remove(name)
            self._uses.pop(name, None)
        finally:
            with self._change:
                self._leaving.discard(name)
                self._change.notify_all()


class Access:
    """What one request may do: every route gets its spaces from here and from nowhere else."""

    def __init__(self, pool: SpacePool, key: Key, space: str = "") -> None:
        self._pool = pool
        self.key = key
        self.name = space

    @contextmanager
    def open(self, right: str, *more: str, create: bool = False, alone: bool = False) -> Iterator[Space]:
        """Give the space of the request, if the key has all these rights in it; there is none without a right.

        A space that the key may not read looks like one that does not exist. Raises NotFound and Forbidden.
        """
        self.check(right, *more)
        # reading is not logged, and a streamed answer is read in many contexts
        named = nullcontext() if (right, *more) == ("read",) else acting(f"key {self.key.id}")
        with self._pool.use(self.name, create=create, alone=alone) as space, named:
            yield space

    @property
    def embedder(self) -> Embedder | None:
        """What makes vectors of questions, for all spaces."""
        return self._pool.memory.embedder

    @contextmanager
    def unwaited(self) -> Iterator[Space | None]:
        """Give the space of the request for reading, if that takes no wait; see `SpacePool.unwaited`."""
        self.check("read")
        with self._pool.unwaited(self.name) as space:
            yield space

    def check(self, right: str, *more: str) -> None:
        """Raise unless the key has all these rights in the space of the request."""
        if _NOT_IN_NAMES.search(self.name) or {".", ".."} & set(re.split(r"[/\\]", self.name)):
            raise InvalidInput("the name of a space may not hold control characters, nor . or .. as a part of a path.")
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

    def others(self, right: str) -> Iterator[Space]:
        """Yield the spaces in which the key has a right, one after the other."""
        for name in self.spaces(right):
            try:
                with self._pool.use(name, passing=True) as space:
                    yield space
            except (NotFound, StoreError):
                continue

    def need(self, right: str) -> None:
        """Raise Forbidden unless the key has a right anywhere: for what belongs to no space."""
        if right not in self.key.rights:
            raise Forbidden(f"this key lacks the right {right}.")


def missing(name: str) -> NotFound:
    """Return the error for a space that is not there, or that a key may not know of."""
    return NotFound(f"there is no space {name!r}.")
