"""Facts as users see them: what held when, as far as is known now or was known at an earlier moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mnemos.arguments import check_optional, check_text
from mnemos.cube import from_micros, to_micros
from mnemos.facts import Fact, KnownFact, Link, Reading, StoredFact
from mnemos.reason.read.reading import subject as whom
from mnemos.store.base import Store
from mnemos.text.update.voices import narrator, stored_trust


def known_facts(
    store: Store,
    subject: str | None,
    attribute: str | None,
    as_of: datetime | None,
    true_at: datetime | None,
    *,
    ended: bool,
    least: float = 1.0,
) -> list[KnownFact]:
    """Return facts, oldest first; see `Space.facts`. With `least` below 1 also what heads read that surely."""
    check_optional(subject, "subject")
    check_optional(attribute, "attribute")
    moment = None if as_of is None else to_micros(as_of)
    rows = store.facts.find(subject=subject, as_of=moment, ended=ended or true_at is not None)
    found = [_known(row, moment) for row in rows if attribute in (None, row.fact.attribute)]
    if least < 1:
        found = sorted(
            [*found, *_read(store, subject, attribute, moment, least, ended=ended)], key=lambda f: f.valid_from
        )
    return found if true_at is None else [f for f in found if f.held_at(true_at)]


def _read(
    store: Store, subject: str | None, attribute: str | None, as_of: int | None, least: float, *, ended: bool
) -> list[KnownFact]:
    """Return what heads read and no rule; what they read as past counts as ended when it was told."""
    rows = store.readings.find(None if attribute is None else [attribute], as_of=as_of, least=least)
    cubes, rules = store.by_key(sorted({key for key, _ in rows})), stored_trust(store)
    sure: dict[int, list[Fact]] = {}
    for row in store.facts.of(list(cubes)):
        sure.setdefault(row.key, []).append(row.fact)
    found = []
    for key, r in rows:
        cube = cubes.get(key)
        if cube is None or _is_known(r, sure.get(key, ())) or (r.tense == "past" and not ended):
            continue
        whose = whom(r.whose, (narrator(cube, rules) or "user").strip().lower())
        if subject in (None, whose):
            until = cube.at if r.tense == "past" else None
            value = cube.text[r.start : r.end]
            found.append(KnownFact(whose, r.attribute, value, r.negated, cube.id, cube.at, until, r.confidence))
    return found


def known_links(store: Store, cube_id: str | None, kind: str | None) -> list[Link]:
    """Return the links of a cube, implied ones too, or all that are stored; see `Space.links`."""
    kind = check_optional(kind, "kind")
    if cube_id is None:
        return store.links.find(kind=kind)
    check_text(cube_id, "cube_id")
    found = store.links.find([cube_id]) + store.links.implied(cube_id)
    return [link for link in found if kind in (None, link.kind)]


def _is_known(reading: Reading, facts: Sequence[Fact]) -> bool:
    """Tell whether a rule has read the same words."""
    return any(reading.start < fact.end and fact.start < reading.end for fact in facts)


def _known(row: StoredFact, as_of: int | None) -> KnownFact:
    """Return a stored fact without an end that was learned after `as_of`."""
    over = row.until is not None and (as_of is None or (row.ended or 0) <= as_of)
    until = from_micros(row.until) if over and row.until is not None else None
    f = row.fact
    return KnownFact(f.subject, f.attribute, f.value, f.negated, row.cube, from_micros(row.since), until)
