"""The audit log: who did what, when, to how many cubes; append-only, each entry chained to all before it.

It names cubes by a hash over their ids only, so that an erased id does not live on in it. Changing, removing or
inserting an entry breaks the chain. Cutting off the end does not: keep the `head` elsewhere to notice that.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from mnemos.cube import from_micros
from mnemos.store.sqlite.connection import Connection

_START = b"mnemos audit log"
_ACTOR: ContextVar[str | None] = ContextVar("mnemos actor", default=None)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry; `digest` is a hash over the ids of the cubes it was about, and `chain` over everything up to here."""

    index: int
    made: datetime
    actor: str
    action: str
    cubes: int
    digest: str
    chain: str


@contextmanager
def acting(actor: str) -> Iterator[None]:
    """Let `actor` be named by what this thread or task writes to any audit log, as a server does for its users."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def append(db: sqlite3.Connection, made: int, actor: str, action: str, ids: Sequence[str]) -> None:
    """Add an entry inside the transaction of what it is about. Costs some 20 us."""
    actor = _ACTOR.get() or actor
    last = db.execute("SELECT i, chain FROM audit ORDER BY i DESC LIMIT 1").fetchone() or (0, _START)
    digest = digest_of(ids)
    chain = _link(last[1], last[0] + 1, made, actor, action, len(ids), digest)
    db.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (last[0] + 1, made, actor, action, len(ids), digest, chain)
    )


def digest_of(ids: Sequence[str]) -> bytes:
    """Return the hash over ids, whatever their order."""
    return _hash("\n".join(sorted(ids)).encode("utf-8", "surrogatepass"))


def entries(connection: Connection, *, after: int = 0, limit: int = 100) -> list[AuditEntry]:
    """Return entries above number `after`, oldest first."""
    with connection.read() as db:
        rows = db.execute("SELECT * FROM audit WHERE i > ? ORDER BY i LIMIT ?", (after, limit)).fetchall()
    return [
        AuditEntry(i, from_micros(made), actor, action, cubes, digest.hex(), chain.hex())
        for i, made, actor, action, cubes, digest, chain in rows
    ]


def verify(connection: Connection, head: str | None = None) -> tuple[int, list[str]]:
    """Recompute the chain; return the number of entries and what is wrong. O(entries), some 300,000 a second.

    `head` is the chain value of an earlier entry, as `entries` shows it: it must still be there.
    """
    problems: list[str] = []
    chain, count, seen = _START, 0, head is None
    with connection.read() as db:
        for i, made, actor, action, cubes, digest, stored in db.execute("SELECT * FROM audit ORDER BY i"):
            count += 1
            if i != count:
                return count, [f"entry {count} is missing"]
            chain = _link(chain, i, made, actor, action, cubes, digest)
            if chain != stored:
                return count, [f"entry {i} ({action}) or one before it was changed"]
            seen = seen or stored.hex() == head
    if not seen:
        problems.append("the head that was given is not in the log: entries were cut off, or it is of another space")
    return count, problems


def _link(before: bytes, i: int, made: int, actor: str, action: str, cubes: int, digest: bytes) -> bytes:
    return _hash(repr((before, i, made, actor, action, cubes, digest)).encode())


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
