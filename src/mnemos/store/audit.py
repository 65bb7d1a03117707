"""The audit log of a space: who did what, when, to how many cubes. Its hashes are the same in every store.

An entry names cubes by a hash over their ids only, so that an erased id does not live on in the log. Each entry is
chained to all before it: changing, removing or inserting one breaks the chain. Cutting off the end does not; to notice
that, keep the last `chain` value elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from mnemos.cube import from_micros

START = b"mnemos audit log"  # the chain before the first entry
Row = tuple[int, int, str, str, int, bytes, bytes]  # index, made (us), actor, action, cubes, digest, chain
_ACTOR: ContextVar[str | None] = ContextVar("mnemos actor", default=None)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit log."""

    index: int  # 1, 2, ... without gaps
    made: datetime
    actor: str
    action: str
    cubes: int  # how many cubes it is about
    digest: str  # hash over their ids, in hex
    chain: str  # hash over this entry and all before it, in hex


@contextmanager
def acting(actor: str) -> Iterator[None]:
    """Name `actor` in what this thread or task writes to any audit log, as a server does for its users."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def next_row(last: tuple[int, bytes] | None, made: int, actor: str, action: str, ids: Sequence[str]) -> Row:
    """Return the entry that follows `last`, the (index, chain) of the newest entry. About 10 us."""
    index, chain = last or (0, START)
    row = (index + 1, made, _ACTOR.get() or actor, action, len(ids), digest_of(ids))
    return *row, _link(chain, *row)


def digest_of(ids: Sequence[str]) -> bytes:
    """Return the hash over ids; their order does not matter."""
    return _hash("\n".join(sorted(ids)).encode("utf-8", "surrogatepass"))


def to_entry(row: Row) -> AuditEntry:
    """Return a stored row as an entry."""
    index, made, actor, action, cubes, digest, chain = row
    return AuditEntry(index, from_micros(made), actor, action, cubes, digest.hex(), chain.hex())


def verify(rows: Iterable[Row], head: str | None = None) -> tuple[int, list[str]]:
    """Recompute the chain of all rows; return the number of entries and what is wrong. About 300,000 entries a second.

    `head` is the `chain` of an earlier entry, which must still be there.
    """
    chain, count, seen = START, 0, head is None
    for index, made, actor, action, cubes, digest, stored in rows:
        count += 1
        if index != count:
            return count, [f"entry {count} is missing"]
        chain = _link(chain, index, made, actor, action, cubes, digest)
        if chain != stored:
            return count, [f"entry {index} ({action}) or one before it was changed"]
        seen = seen or chain.hex() == head
    if seen:
        return count, []
    return count, ["the head that was given is not in the log: entries were cut off, or it is of another space"]


def _link(before: bytes, index: int, made: int, actor: str, action: str, cubes: int, digest: bytes) -> bytes:
    return _hash(repr((before, index, made, actor, action, cubes, digest)).encode())


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
