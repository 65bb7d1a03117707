"""Rows of tables as objects and back, the same in every store. A row that makes no object raises ValueError or the like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import MemCube, from_micros, to_micros
from mnemos.facts import Decision, Fact, Reading, StoredFact
from mnemos.store.sound import MOST, Row, Shape, in_time, read
from mnemos.store.values import DateRow, DerivedCube, Member

COLUMNS = (
    "n, id, version, form, kind, state, text, session, speaker, role, source, at, at_offset, learned, replaced, "
    "valid_from, valid_to, strength, recalls, recalled_at, metadata, pinned, layer, zone"
)
FACT = "subject, attribute, value, exclusive, negated, begin, stop"
TIMES = "since, until, ended, ended_by"  # of a fact
READING = "n, begin, stop, whose, attribute, tense, negated, confidence"
CUBE_SHAPE = Shape("i s i s s s s s? s? s? s? i i i i? i? i? r i i? s i i s? p")
FACT_SHAPE = Shape("s i i s s s i i i i i i? i? s?")
READING_SHAPE = Shape("i i i s? s s i r")
DATE_SHAPE = Shape("i i i s i i s i")
MEMBER_SHAPE = Shape("i s i s? i i")
DERIVED_SHAPE = Shape("s i i s s? i i s?")
DECISION_SHAPE = Shape("s i s s s s")
ROW_TABLES = ("words", "vectors", "dates", "facts", "readings")  # stored beside a row of `cubes`, keyed by n
ID_TABLES = (  # (table, column) that name cubes by id
    ("parents", "child"), ("parents", "parent"), ("links", "a"), ("links", "b"), ("decisions", "cube"), ("pending", "id"),
    ("set_aside", "cube"),
)  # fmt: skip
_FORMS = {"text", "activation", "parametric"}
_STATES = {"active", "superseded", "archived"}


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def to_row(n: int, cube: MemCube, seq: int) -> tuple[Any, ...]:
    """Return the values of one `INSERT`."""
    offset = cube.at.utcoffset()
    return (
        n, cube.id, cube.version, cube.form, cube.kind, cube.state, cube.text, cube.session, cube.speaker,
        cube.role, cube.source, to_micros(cube.at), int(offset.total_seconds()) if offset else 0,
        to_micros(cube.learned), _micros(cube.replaced), _micros(cube.valid_from), _micros(cube.valid_to),
        cube.strength, cube.recalls, _micros(cube.recalled_at), json.dumps(dict(cube.metadata)), int(cube.pinned), cube.layer,
        cube.timezone, seq,
    )  # fmt: skip


def _names(parents: str | list[str]) -> tuple[str, ...]:
    """Return ids that a store keeps as an array, or as JSON."""
    if isinstance(parents, list):
        return tuple(parents)
    return () if parents == "[]" else tuple(json.loads(parents))


def to_cubes(rows: Iterable[tuple[Any, ...]], space: str) -> list[tuple[int, MemCube]]:
    """Return (key, cube) of rows of `SELECT`; damaged ones are skipped, with a warning."""
    return read(rows, CUBE_SHAPE, lambda row: to_cube(row, space), space, "cube", key=1)


def to_cube(row: Sequence[Any], space: str) -> tuple[int, MemCube]:
    """Return (key, cube) of one row of `SELECT`. Raises ValueError and the like for damaged values."""
    (n, id_, version, form, kind, state, text, session, speaker, role, source, at, at_offset, learned, replaced,
     valid_from, valid_to, strength, recalls, recalled_at, metadata, pinned, layer, zone, parents) = row  # fmt: skip
    if (
        form not in _FORMS
        or state not in _STATES
        or not isinstance(about := {} if metadata == "{}" else json.loads(metadata), dict)
    ):
        raise ValueError(f"form {form}, state {state}, metadata {metadata}")
    in_time(recalled_at)
    cube = MemCube(
        id=id_, text=text, space=space, at=from_micros(at, at_offset), learned=from_micros(learned), form=form,
        kind=kind, state=state, version=version, session=session, speaker=speaker, role=role, source=source,
        parents=_names(parents), replaced=_moment(replaced), valid_from=_moment(valid_from),
        valid_to=_moment(valid_to), strength=strength, recalls=recalls, recalled_at=_moment(recalled_at),
        metadata=about, pinned=bool(pinned), layer=layer, timezone=zone,
    )  # fmt: skip
    return n, cube


def to_fact(row: Sequence[Any]) -> StoredFact:
    """Return a fact of a row of (cube, key, index, FACT, TIMES)."""
    cube, n, i, subject, attribute, value, exclusive, negated, start, end, since, until, ended, ended_by = row
    in_time(since, until, ended)
    fact = Fact(subject, attribute, value, bool(exclusive), bool(negated), start, end)
    return StoredFact(cube, n, i, fact, since, until, ended, ended_by)


def to_reading(row: Row) -> tuple[int, Reading]:
    """Return (key, reading) of a row of READING."""
    n, start, end, whose, attribute, tense, negated, confidence = row
    if not 0 <= start < end < MOST:
        raise ValueError(f"{start} to {end} is no part of a text")
    return n, Reading(whose, attribute, start, end, tense, bool(negated), float(confidence))


def to_date(row: Row) -> tuple[int, DateRow]:
    """Return (key, date) of a row of (key, start, end, phrase, first, last, granularity, relative)."""
    n, start, end, phrase, first, last, granularity, relative = row
    in_time(start, end)
    return n, DateRow(start, end, phrase, first, last, granularity, bool(relative))


def to_member(row: Row) -> Member:
    """Return what grouping needs of a cube."""
    member = Member(*row)
    _ = member.when  # raises for a time that no calendar has
    return member


def to_derived(row: Row) -> DerivedCube:
    """Return a derived cube."""
    cube = DerivedCube(*row)
    from_micros(cube.at, cube.offset)  # raises for a time that no calendar has
    return cube


def to_decision(row: Row) -> Decision:
    """Return a decision of a row of (cube, made, action, reason, others, maker)."""
    cube, made, action, reason, others, maker = row
    return Decision(cube, from_micros(made), action, reason, tuple(map(str, json.loads(others))), maker)
