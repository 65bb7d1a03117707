"""Storage of statements: read, decided and written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Decision, Link, StoredFact
from mnemos.guard.trust import Trust, trust_of
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.base import Reasoner
from mnemos.reason.condense import filler_terms
from mnemos.store.base import Store
from mnemos.store.values import Entry
from mnemos.text.update.decide import ActiveFact, Compare, Key, NewStatement, Outcome, decide, since

REST = 1  # content terms that a text may have besides its facts and still say nothing else


def state_facts(entries: Sequence[Entry], reasoner: Reasoner, trust: Mapping[str, int]) -> list[NewStatement]:
    """Return the statements of entries. O(text), about 60 us for a chat turn."""
    return [
        NewStatement(e, tuple(reasoner.facts(e.cube.text, e.cube.speaker, e.cube.at)), is_trusted(e.cube, trust))
        for e in entries
    ]


def is_trusted(cube: MemCube, rules: Mapping[str, int]) -> bool:
    """Tell whether the source of a cube may end the facts of others."""
    return trust_of(cube.role, cube.source, rules) > Trust.UNTRUSTED


def write(
    store: Store, statements: Sequence[NewStatement], model: int | None, reasoner: Reasoner, trust: Mapping[str, int]
) -> list[MemCube]:
    """Store statements, all or none, after deciding what each does to existing ones (see `decide`); return their cubes.

    Everything is read and written in one transaction, so that two writers cannot miss each other's statements. Costs,
    in addition to the rows, one lookup for the batch and O(facts about the same thing).
    """
    with store.transaction():
        active = _active_facts(store, statements, trust)
        outcomes = [decide(statement, active, reasoner.compare) for statement in statements]
        keys = dict(
            zip([s.cube.id for s in statements], store.insert([s.entry for s in statements], model), strict=True)
        )
        store.facts.put(
            StoredFact(s.cube.id, keys[s.cube.id], i, f, since(s.entry, f))
            for s in statements
            for i, f in enumerate(s.facts)
        )
        _link(store, statements, outcomes)
        _end(store, statements, outcomes, keys)
        store.decisions.put(
            Decision(s.cube.id, s.cube.learned, v.action, v.reason, v.others, reasoner.name)
            for s, v in zip(statements, outcomes, strict=True)
            if v.action != "ADD"
        )
        changed = store.get([e.old.cube for v in outcomes for e in v.supersessions if e.old.cube in keys])
    return [changed.get(s.cube.id, s.cube) for s in statements]


def adds_nothing_else(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Tell whether a text has hardly a content word outside these spans."""
    left, done = [], 0
    for start, end in sorted(spans):
        left.append(text[done:start])
        done = max(done, end)
    left.append(text[done:])
    content = {t for t in terms(" ".join(left)) if t not in stop_terms() and t not in filler_terms()}
    return len(content) <= REST


def _active_facts(
    store: Store, statements: Sequence[NewStatement], trust: Mapping[str, int]
) -> dict[Key, list[ActiveFact]]:
    about = [(f.subject, f.attribute) for s in statements for f in s.facts]
    stored = store.facts.find(about) if about else []
    cubes = store.get(sorted({f.cube for f in stored}))
    active: dict[Key, list[ActiveFact]] = {}
    for f in stored:
        cube = cubes[f.cube]
        held = ActiveFact(f.cube, f.fact, f.since, to_micros(cube.at), f, is_trusted(cube, trust))
        active.setdefault((f.fact.subject, f.fact.attribute), []).append(held)
    return active


def revise(
    store: Store, statement: NewStatement, model: int | None, reasoner: Reasoner, trust: Mapping[str, int]
) -> None:
    """Store a statement as the next version of its cube, after deciding what it does to other cubes."""
    with store.transaction():
        active = _active_facts(store, [statement], trust)
        others = {key: [x for x in known if x.cube != statement.cube.id] for key, known in active.items()}
        outcome = decide(statement, others, reasoner.compare)
        n = store.replace(statement.entry, model)
        store.facts.put(
            StoredFact(statement.cube.id, n, i, f, since(statement.entry, f)) for i, f in enumerate(statement.facts)
        )
        _link(store, [statement], [outcome])
        _end(store, [statement], [outcome], {statement.cube.id: n})
        if outcome.action != "ADD":
            made = Decision(
                statement.cube.id, statement.cube.learned, outcome.action, outcome.reason, outcome.others, reasoner.name
            )
            store.decisions.put([made])


def add_facts(
    store: Store, statement: NewStatement, n: int, first: int, compare: Compare, maker: str, trust: Mapping[str, int]
) -> None:
    """Add facts, numbered from `first`, to version `n` of a stored cube, and decide what they do to others."""
    with store.transaction():
        active = _active_facts(store, [statement], trust)
        others = {key: [x for x in known if x.cube != statement.cube.id] for key, known in active.items()}
        outcome = decide(statement, others, compare)
        store.facts.put(
            StoredFact(statement.cube.id, n, first + i, f, since(statement.entry, f))
            for i, f in enumerate(statement.facts)
        )
        _link(store, [statement], [outcome])
        _end(store, [statement], [outcome], {statement.cube.id: n})
        store.decisions.put(
            [Decision(statement.cube.id, store.clock(), outcome.action, outcome.reason, outcome.others, maker)]
        )


def _link(store: Store, statements: Sequence[NewStatement], outcomes: Sequence[Outcome]) -> None:
    links: list[Link] = []
    for statement, outcome in zip(statements, outcomes, strict=True):
        links += [Link(statement.cube.id, old, "supports") for old in outcome.supports if old != statement.cube.id]
        links += [Link(statement.cube.id, old, "contradicts") for old in outcome.contradicts]
        links += [Link(e.by, e.old.cube, "supersedes") for e in outcome.supersessions if e.by != e.old.cube]
    if links:
        store.links.put(links, to_micros(statements[-1].cube.learned))


def _end(
    store: Store, statements: Sequence[NewStatement], outcomes: Sequence[Outcome], keys: Mapping[str, int]
) -> None:
    """End the superseded facts, and retire the cubes that say nothing else."""
    touched: dict[str, tuple[int, datetime]] = {}
    for statement, outcome in zip(statements, outcomes, strict=True):
        learned = to_micros(statement.cube.learned)
        for supersession in outcome.supersessions:
            name = supersession.old.cube
            facts = [supersession.old.stored] if supersession.old.stored else store.facts.of([keys[name]])
            for fact in facts:
                if fact is not None and fact.fact == supersession.old.fact:
                    store.facts.end(fact, supersession.until, learned, supersession.by)
            touched[name] = (supersession.until, statement.cube.learned)
    retire_empty(store, touched)


def retire_empty(store: Store, touched: Mapping[str, tuple[int, datetime]]) -> list[str]:
    """Mark as superseded the cubes whose facts have all ended and that say nothing else; return their ids."""
    retired = []
    with store.transaction():
        for name, (until, learned) in touched.items():
            key = store.facts.active_version(name)
            facts = [] if key is None else store.facts.of([key])
            if key is None or not facts or any(f.ended is None for f in facts):
                continue
            spans = [(f.fact.start, f.fact.end) for f in facts]
            spans += [(d.span_start, d.span_end) for d in store.dates([key]).get(key, [])]
            cube = store.by_key([key]).get(key)
            if cube is not None and adds_nothing_else(cube.text, spans):
                store.lives.supersede(name, until, to_micros(learned))
                retired.append(name)
    return retired
