"""Storage of statements: read, decided and written in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mnemos.cube import MemCube, from_micros, to_micros
from mnemos.facts import Decision, Fact, Link, StoredFact
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.base import Reasoner
from mnemos.reason.certain import Said, is_new
from mnemos.reason.condense import filler_terms
from mnemos.store.base import Store
from mnemos.store.values import Entry
from mnemos.text.update.decide import Compare, Key, NewStatement, Outcome, Statement, decide, since
from mnemos.text.update.voices import narrator, standing

REST = 1  # content terms that a text may have besides its facts and still say nothing else


def read_facts(reasoner: Reasoner, cube: MemCube, trust: Mapping[str, int]) -> list[Fact]:
    """Return the facts that a cube states, with its true narrator as "I". O(text), about 60 us for a chat turn."""
    return reasoner.facts(cube.text, narrator(cube, trust), cube.at)


def statement_of(entry: Entry, facts: Iterable[Fact], trust: Mapping[str, int]) -> NewStatement:
    """Return the new statement of an entry and the facts that it states."""
    return NewStatement(entry, tuple(_said(entry.cube, fact, since(entry, fact), trust) for fact in facts))


def write(
    store: Store, statements: Sequence[NewStatement], model: int | None, reasoner: Reasoner, trust: Mapping[str, int]
) -> list[MemCube]:
    """Store statements, all or none, after deciding what each does to existing ones (see `decide`); return their cubes.

    Everything is read and written in one transaction, so that two writers cannot miss each other's statements. Costs,
    in addition to the rows, one lookup for the batch and O(facts about the same thing).
    """
    with store.transaction():
        known = _known(store, statements, trust)
        outcomes = [decide(statement, known, reasoner.compare) for statement in statements]
        keys = store.insert([s.entry for s in statements], model)
        for statement, key in zip(statements, keys, strict=True):
            _put_facts(store, statement, key, 0)
        retired = _apply(store, statements, outcomes, reasoner.name)
        changed = store.get(retired)
    return [changed.get(s.cube.id, s.cube) for s in statements]


def revise(
    store: Store, statement: NewStatement, model: int | None, reasoner: Reasoner, trust: Mapping[str, int]
) -> None:
    """Store a statement as the next version of its cube, after deciding what it does to other cubes."""
    with store.transaction():
        outcome = decide(statement, _known(store, [statement], trust), reasoner.compare)
        _put_facts(store, statement, store.replace(statement.entry, model), 0)
        _apply(store, [statement], [outcome], reasoner.name)


def add_facts(
    store: Store, statement: NewStatement, n: int, first: int, compare: Compare, maker: str, trust: Mapping[str, int]
) -> None:
    """Add facts, numbered from `first`, to version `n` of a stored cube, and decide what they do to others."""
    with store.transaction():
        outcome = decide(statement, _known(store, [statement], trust), compare)
        _put_facts(store, statement, n, first)
        _apply(store, [statement], [outcome], maker)


def adds_nothing_else(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Tell whether a text has hardly a content word outside these spans."""
    left, done = [], 0
    for start, end in sorted(spans):
        left.append(text[done:start])
        done = max(done, end)
    left.append(text[done:])
    content = {t for t in terms(" ".join(left)) if t not in stop_terms() and t not in filler_terms()}
    return len(content) <= REST


def _said(
    cube: MemCube, fact: Fact, begun: int, trust: Mapping[str, int], stored: StoredFact | None = None
) -> Statement:
    me = (narrator(cube, trust) or "user").strip().lower()
    said = Said(fact, me, cube.session, is_new(cube.text, fact.start, fact.end))
    ended = (stored.until, stored.ended_by) if stored else (None, None)
    return Statement(cube.id, said, begun, to_micros(cube.at), standing(fact, cube, trust), stored, *ended)


def _known(store: Store, statements: Sequence[NewStatement], trust: Mapping[str, int]) -> dict[Key, list[Statement]]:
    """Return what is known about the same things, ended or not, by subject and attribute."""
    about = [(s.fact.subject, s.fact.attribute) for statement in statements for s in statement.said]
    stored = store.facts.find(about, ended=True) if about else []
    cubes = store.get(sorted({f.cube for f in stored} - {s.cube.id for s in statements}))
    known: dict[Key, list[Statement]] = {}
    for f in stored:
        if f.cube in cubes:
            said = _said(cubes[f.cube], f.fact, f.since, trust, f)
            known.setdefault((f.fact.subject, f.fact.attribute), []).append(said)
    return known


def _put_facts(store: Store, statement: NewStatement, key: int, first: int) -> None:
    learned = to_micros(statement.cube.learned)
    store.facts.put(
        StoredFact(s.cube, key, i, s.fact, s.since, s.until, None if s.until is None else learned, s.by)
        for i, s in enumerate(statement.said, first)
    )


def _apply(store: Store, statements: Sequence[NewStatement], outcomes: Sequence[Outcome], maker: str) -> list[str]:
    """Write links, ends and decisions; retire the cubes that say nothing else and return their ids."""
    links: list[Link] = []
    touched: dict[str, tuple[int, datetime]] = {}
    for statement, outcome in zip(statements, outcomes, strict=True):
        name, learned = statement.cube.id, statement.cube.learned
        links += [Link(name, old, "supports") for old in outcome.supports if old != name]
        links += [Link(name, old, "contradicts") for old in outcome.contradicts]
        links += [Link(later, earlier, "supersedes") for later, earlier in outcome.supersedes]
        for s in outcome.ended:
            if s.until is None or s.by is None:
                continue
            touched[s.cube] = s.until, learned
            if s.stored is not None:
                store.facts.end(s.stored, s.until, to_micros(learned), s.by)
    if links:
        store.links.put(links, to_micros(statements[-1].cube.learned))
    retired = retire_empty(store, touched)
    store.decisions.put(
        Decision(s.cube.id, s.cube.learned, v.action, v.reason, v.others, maker)
        for s, v in zip(statements, outcomes, strict=True)
        if v.action != "ADD"
    )
    return retired


def retire_empty(store: Store, touched: Mapping[str, tuple[int, datetime]]) -> list[str]:
    """Mark as superseded the cubes whose facts have all ended and that say nothing else; return their ids.

    One that is superseded already gets the time until which it was true, where that has changed. Costs four lookups, and
    a new version of each cube that is retired.
    """
    retired = []
    with store.transaction():
        found = store.get(list(touched))
        cubes = [found[name] for name in touched if name in found and found[name].state != "archived"]
        keys = store.keys_of([cube.id for cube in cubes])
        stated, dates = defaultdict[int, list[StoredFact]](list), store.dates(keys)
        for f in store.facts.of(keys):
            stated[f.key].append(f)
        for cube, key in zip(cubes, keys, strict=True):
            facts = stated[key]
            if not facts or any(f.ended is None for f in facts):
                continue
            until, learned = touched[cube.id]
            spans = [(f.fact.start, f.fact.end) for f in facts]
            spans += [(d.span_start, d.span_end) for d in dates.get(key, [])]
            if (cube.state == "superseded" and cube.valid_to != from_micros(until)) or (
                cube.state == "active" and adds_nothing_else(cube.text, spans)
            ):
                store.lives.supersede(cube.id, until, to_micros(learned))
                retired.append(cube.id)
    return retired
