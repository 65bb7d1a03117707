"""API keys and their rights."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from mnemos.cube import from_micros, to_jsonable, to_micros, utc_now
from mnemos.errors import InvalidInput, NotFound
from mnemos.serve.limits import PrivateFile

RIGHTS = ("read", "write", "erase", "admin")
FOLDER = "serve"  # under the root; it cannot be the file of a space, which ends in .mnemos
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


class KeyStore(PrivateFile):
    """The keys of a root. It stores salted hashes of secrets; these have 256 random bits, so a fast hash is enough."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(
            path,
            "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, name TEXT, salt BLOB, hash BLOB, spaces TEXT, "
            "rights TEXT, made INTEGER, expires INTEGER, revoked INTEGER) STRICT",
        )
        self.clock = clock
        self._cache: dict[bytes, Key] = {}  # by a hash of the token, until the file changes
        self._cached_at: tuple[int, int] | None = None  # the file's change token then

    @staticmethod
    def under(root: Path, clock: Callable[[], datetime] = utc_now) -> KeyStore:
        """Return the keys of a root."""
        return KeyStore(root / FOLDER / "keys.sqlite", clock)

    def first(self) -> str | None:
        """Create a key with all rights if there has never been a key, and return it; else None."""
        with self.use() as db:
            if db.execute("SELECT count(*) FROM keys").fetchone()[0]:
                return None
            return self._put(db, "admin", ("*",), RIGHTS, None)[0]

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
        with self.use() as db:
            return self._put(db, name, spaces, rights, until)

    def _put(
        self, db: sqlite3.Connection, name: str, spaces: Sequence[str], rights: Sequence[str], until: datetime | None
    ) -> tuple[str, Key]:
        key_id = base64.b32encode(os.urandom(5)).decode("ascii").lower()
        secret, salt, now = secrets.token_urlsafe(32), os.urandom(16), self.clock()
        given = tuple(r for r in RIGHTS if r in rights)
        db.execute(
            "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (key_id, name, salt, _hash(secret, salt), json.dumps(list(spaces)), json.dumps(given), to_micros(now),
             None if until is None else to_micros(until)),
        )  # fmt: skip
        return f"mnk_{key_id}_{secret}", Key(key_id, name, tuple(spaces), given, now, until)

    def find(self, token: str) -> Key | None:
        """Return the key of a token; None for one that is unknown, wrong, expired or revoked."""
        name = hashlib.blake2b(token.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if (changed := self.change_token()) != self._cached_at:
                self._cache, self._cached_at = {}, changed
            key = self._cache.get(name) or self._read(token)
            if key is not None:
                self._cache[name] = key
        return key if key is not None and key.valid(self.clock()) else None

    def _read(self, token: str) -> Key | None:
        match = _TOKEN.fullmatch(token)
        key_id, secret = (match[1], match[2]) if match else ("", "")
        rows = self.rows("SELECT * FROM keys WHERE id = ?", (key_id,))
        salt, wanted = (rows[0][2], rows[0][3]) if rows else (bytes(16), bytes(32))
        same = hmac.compare_digest(_hash(secret, salt), wanted)
        if not rows or not same:
            return None
        return replace(_key(rows[0]), seal=hashlib.blake2b(secret.encode(), person=b"mnemos seal").digest())

    def all(self) -> list[Key]:
        """Return all keys, expired and revoked ones included, oldest first."""
        return [_key(row) for row in self.rows("SELECT * FROM keys ORDER BY made, id")]

    def revoke(self, key_id: str) -> Key:
        """Revoke a key; running servers reject it immediately. Raises NotFound."""
        with self.use() as db:
            db.execute(
                "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (to_micros(self.clock()), key_id)
            )
            row = db.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no key {key_id!r}. `mnemos keys list` shows all keys.")
        return _key(row)


def _hash(secret: str, salt: bytes) -> bytes:
    return hashlib.blake2b(secret.encode(), salt=salt, person=b"mnemos api key", digest_size=32).digest()


def _key(row: Sequence[Any]) -> Key:
    key_id, name, _, _, spaces, rights, *times = row
    made, expires, revoked = (None if t is None else from_micros(t) for t in times)
    assert made is not None
    return Key(key_id, name, tuple(json.loads(spaces)), tuple(json.loads(rights)), made, expires, revoked)
