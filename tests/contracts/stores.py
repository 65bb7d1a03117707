"""The stores that the suites of this folder test, and rows to put into them. A new kind of store adds a line to KINDS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Fact, StoredFact
from mnemos.store.values import Entry

T0 = datetime(2024, 1, 1, tzinfo=UTC)
NOW = to_micros(T0)
DAY = 86_400_000_000  # microseconds


KINDS = ("sqlite", "postgres")


def cube(id_, text="hello", day=0, **header):
    """Return a cube that happened, and was learned, `day` days after T0."""
    header = {"space": "s", "at": T0 + timedelta(days=day), "learned": T0 + timedelta(days=day), **header}
    return MemCube(id=id_, text=text, **header)


def entry(c, vector=None, dates=()):
    """Return an entry whose terms are the words of the text."""
    return Entry(c, tuple(c.text.split()), None if vector is None else np.array(vector, np.float16), dates)


def fact(id_, key, value, index=0, *, subject="ana", attribute="live in", since=NOW):
    """Return a fact that a version states."""
    return StoredFact(id_, key, index, Fact(subject, attribute, value, True, False, 0, len(value)), since)


def put(store, *cubes):
    """Insert cubes and return their keys."""
    return store.insert([entry(c) for c in cubes], None)


def newer(c, text=None, day=1):
    """Return the next version of a cube."""
    return replace(c, text=text or c.text, version=c.version + 1, learned=T0 + timedelta(days=day))
