"""API keys and their rights."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

from mnemos.cube import from_micros, to_jsonable, to_micros, utc_now
from mnemos.errors import InvalidInput, NotFound
from mnemos.location import Location
from mnemos.store.open import open_keys
from mnemos.store.server import KeyRow, Keys

RIGHTS = ("read", "write", "erase", "admin")
_TOKEN = re.compile(r"mnk_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Key:
    """The record of a key, without the secret itself."""

    id: str
    name: str  # for people
    spaces: tuple[str, ...]  # `fnmatch` patterns
    rights: tuple[str, ...]  # of RIGHTS
    made: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    seal: bytes = field(default=b"", repr=False)  # derived from the secret, so known only while its holder sends it

    def may(self, right: str, space: str) -> bool:
        """Tell whether the key has a right in a space."""
        return right in self.rights and any(fnmatchcase(space, pattern) for pattern in self.spaces)

    def valid(self, now: datetime) -> bool:
        """Tell whether the key is neither expired nor revoked."""
        return self.state(now) == "valid"

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Return the state of the key."""
        if self.revoked is not None:
            return "revoked"
        return "valid" if self.expires is None or now < self.expires else "expired"

    def public(self) -> dict[str, Any]:
        """Return the record as JSON data, without the seal."""
        data = to_jsonable(asdict(self))
        del data["seal"]
        return data


class KeyStore:
    """The keys of a root. It stores salted hashes of secrets; these have 256 random bits, so a fast hash is enough."""

    def __init__(self, keys: Keys, clock: Callable[[], datetime] = utc_now) -> None:
        self._keys = keys
        self.remote = keys.remote  # whether `find` may wait for a network
        self._lock = threading.RLock()
        self.clock = clock
        self._cache: dict[bytes, Key] = {}  # by a hash of the token, until a key changes
        self._cached_at: object = None  # the change token then

    @staticmethod
    def under(root: Location, clock: Callable[[], datetime] = utc_now) -> KeyStore:
        """Return the keys of a root."""
        return KeyStore(open_keys(root), clock)

    def first(self) -> str | None:
        """Create a key with all rights if there has never been a key, and return it; else None."""
        token, row = self._make("admin", ("*",), RIGHTS, None)
        return token if self._keys.add(row, only_first=True) else None

    def add(
        self, name: str, *, spaces: Sequence[str], rights: Sequence[str], days: float | None = None
    ) -> tuple[str, Key]:
        """Create a key; return its token, which is not stored, and its record. Raises InvalidInput."""
        if unknown := set(rights) - set(RIGHTS):
            raise InvalidInput(f"unknown right {', '.join(sorted(unknown))}. Use {', '.join(RIGHTS)}.")
        if not rights or not spaces or not all(spaces) or not name.strip():
            raise InvalidInput("a key needs a name, at least one right and at least one space (or pattern of spaces).")
        if days is not None and not 0 < days < 36_500:
            raise InvalidInput(f"a key cannot expire in {days} days. Use a number above 0 and below 36,500.")
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
        made, expires = to_micros(self.clock()), None if until is None else to_micros(until)
        row = KeyRow(key_id, name, salt, _hash(secret, salt), tuple(spaces), given, made, expires)
        return f"mnk_{key_id}_{secret}", row

    def find(self, token: str) -> Key | None:
        """Return the key of a token; None for one that is unknown, wrong, expired or revoked."""
        name = hashlib.blake2b(token.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if (changed := self._keys.change_token()) != self._cached_at:
                self._cache, self._cached_at = {}, changed
            key = self._cache.get(name) or self._read(token)
            if key is not None:
                self._cache[name] = key
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
        """Return all keys, expired and revoked ones included, oldest first."""
        return [_key(row) for row in self._keys.all()]

    def revoke(self, key_id: str) -> Key:
        """Revoke a key; running servers reject it immediately. Raises NotFound."""
        row = self._keys.revoke(key_id, to_micros(self.clock()))
        if row is None:
            raise NotFound(f"there is no key {key_id!r}. `mnemos keys list` shows all keys.")
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
