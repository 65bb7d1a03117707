"""Damaged rows: how a reader recognises one, says so, and goes on with the others.

A byte that flips on a disk can turn any value into any other: a number into text, text into bytes that are no UTF-8, a
time into one that no calendar has. SQLite notices none of it; Postgres checks types, and no values.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mnemos.errors import DamagedRow

T = TypeVar("T")
Row = tuple[Any, ...]
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds: the years 1 to 9999
MOST = 2**48  # rows and transactions: a number above it was never given
UNREADABLE = (
    TypeError,
    ValueError,
    OverflowError,
    KeyError,
    IndexError,
)  # what making an object of damaged values raises
SHOWN = 3  # damaged rows that one warning names
_TYPES: dict[str, tuple[type, ...]] = {"s": (str,), "i": (int,), "r": (float, int), "b": (bytes,), "p": (str, list)}


class Shape:
    """The types of the columns of a query: a letter each, with `?` where None may be.

    s text, i integer, r real, b blob, p ids as JSON or as a list.
    """

    def __init__(self, columns: str) -> None:
        self._columns = [_TYPES[c[0]] + ((type(None),) if c.endswith("?") else ()) for c in columns.split()]
        self._sound: set[tuple[type, ...]] = set()  # combinations of types seen: a look-up is faster than a comparison

    def fits(self, row: Row) -> bool:
        """Tell whether each value has a type that its column may have."""
        types = tuple(map(type, row))
        if types in self._sound:
            return True
        sound = all(t in allowed for t, allowed in zip(types, self._columns, strict=True))
        if sound:
            self._sound.add(types)
        return sound


def read(rows: Iterable[Row], shape: Shape, make: Callable[[Row], T], space: str, what: str, key: int = 0) -> list[T]:
    """Return what `make` makes of each sound row; warn of the others. `what` and the column `key` name a row."""
    found: list[T] = []
    bad: list[str] = []
    for row in rows:
        if not shape.fits(row):
            bad.append(f"{what} {shown(row[key])} has a value of the wrong type or that is not UTF-8")
            continue
        try:
            found.append(make(row))
        except UNREADABLE as error:
            bad.append(f"{what} {shown(row[key])} cannot be read ({shown(str(error))})")
    tell(space, bad)
    return found


def tell(space: str, bad: Sequence[str]) -> None:
    """Warn of damaged rows, if there are any."""
    if bad:
        more = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        warnings.warn(
            f"{len(bad):,} damaged row{'s' * (len(bad) > 1)} of space {space!r} skipped: {'; '.join(bad[:SHOWN])}{more}. "
            f"`mnemos doctor --repair -s {space}` sets them aside, where they can be looked at.",
            DamagedRow,
            stacklevel=3,
        )


def shown(value: object) -> str:
    """Return a value for a message, short."""
    return f"{value!r:.60}"


def in_time(*micros: int | None) -> None:
    """Raise ValueError for a time outside the years 1 to 9999."""
    for value in micros:
        if value is not None and not FIRST <= value <= LAST:
            raise ValueError(f"{value} is no time")
