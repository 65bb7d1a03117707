"""The rows of a space as they are, table by table: what a copy to another store takes, and what two stores are compared by.

Every store keeps the same tables with the same columns, whatever it calls them. What it keeps for itself (the names in `OWN`,
indexes, free room) is no part of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mnemos.errors import StoreCorrupt
from mnemos.store.blobs import Blobs
from mnemos.store.rows import COLUMNS
from mnemos.store.sound import Row, Shape

Position = list[Any]  # where the reading of a table goes on: empty at its start; JSON-ready
Digest = tuple[int, str]  # how many rows, and a hash over them in any order
BATCH = 2_000  # rows read at a time
OWN = ("space", "copies", "moving", "moved")  # keys of `meta` that belong to the store and not to the space
_MODULUS = 2**128


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a space: its name, its columns and their types."""

    name: str
    columns: tuple[str, ...]
    shape: Shape


def _table(name: str, columns: str, shape: str) -> Table:
    return Table(name, tuple(columns.replace(",", " ").split()), Shape(shape))


TABLES = (
    _table("meta", "key value", "s s"),
    _table("cubes", f"{COLUMNS} seq", "i s i s s s s s? s? s? s? i i i i? i? i? r i i? s i i s? i"),
    _table("parents", "child parent", "s s"),
    _table("words", "n terms print", "i s i"),
    _table("dates", "n start stop phrase begin finish granularity relative", "i i i s i i s i"),
    _table("models", "m name revision dimension", "i s s i"),
    _table("vectors", "m n vector", "i i b"),  # the parts of a text one behind the other
    _table("gone", "seq n", "i i"),
    _table("erased", "id_hash", "b"),
    _table(
        "facts", "n i subject attribute value exclusive negated begin stop since until ended ended_by",
        "i i s s s i i i i i i? i? s?",
    ),
    _table("readings", "n begin stop whose attribute tense negated confidence", "i i i s? s s i r"),
    _table("links", "a b kind weight made", "s s s r i"),
    _table("decisions", "cube made action reason others maker", "s i s s s s"),
    _table("pending", "id tries why", "s i s"),
    _table("lessons", "trigger mistaken trust made", "b b i i"),
    _table("audit", "i made actor action cubes digest chain", "i i s s i b b"),
    _table("set_aside", "made source cube reason row", "i s s? s s"),
    _table("counters", "seq last", "i i"),  # one row: the last transaction, and the last key ever given
)  # fmt: skip


class Records(Protocol):
    """The rows of a space. Reads take part in a transaction of the store; so do writes."""

    def read(self, table: Table, after: Position, limit: int) -> tuple[list[Row], Position | None]:
        """Return about `limit` rows behind a position, and the next position; None at the end of the table."""

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, in their order, to a space that has none of these; of `counters` replace the row."""


def pages(records: Records, table: Table, space: str, after: Position | None = None) -> Any:
    """Yield (rows, next position) of a table. Raises StoreCorrupt for a row that no table of ours has."""
    position: Position | None = after or []
    while position is not None:
        rows, position = records.read(table, position, BATCH)
        for row in rows:
            if not table.shape.fits(row):
                raise StoreCorrupt(
                    f"a row of {table.name} in space {space!r} has a value of the wrong type ({row!r:.80}). Run `mnemos doctor "
                    f"--repair -s {space}`, which sets it aside, and try again."
                )
        yield rows, position


def digests(records: Records, blobs: Blobs | None, space: str, progress: Callable[[int], None]) -> dict[str, Digest]:
    """Return the digest of each table of a space, and of `blobs`. Costs one pass over everything, 5 us a row."""
    found = {}
    for table in TABLES:
        count = total = 0
        for rows, _ in pages(records, table, space):
            for row in rows:
                total += _hash(repr(row).encode("utf-8", "surrogatepass"))
            count += len(rows)
            progress(len(rows))
        found[table.name] = count, f"{total % _MODULUS:032x}"
    if blobs is None:
        return found
    ids = blobs.ids()
    total = sum(_hash(name.encode() + _file_hash(blobs, name)) for name in ids)
    found["blobs"] = len(ids), f"{total % _MODULUS:032x}"
    return found


def _file_hash(blobs: Blobs, name: str) -> bytes:
    with blobs.local(name) as path, path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=16).digest())
