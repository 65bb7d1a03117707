"""Storage of statements: read, decided and written in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Decision, Link, StoredFact
from mnemos.guard.trust import Trust, trust_of
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.base import Reasoner
from mnemos.reason.condense import filler_terms
from mnemos.store.base import Store
from mnemos.store.hashes import text_hash
from mnemos.store.values import Entry
from mnemos.text.update.decide import ActiveFact, Compare, Key, NewStatement, Outcome, decide, since

REST = 1  # content terms that a text may have besides its facts and still say nothing else


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a batch."""

    cubes: list[MemCube]  # for each statement, in order
    confirmed: list[str]  # ids of cubes that statements confirmed


def state_facts(
    entries: Sequence[Entry], reasoner: Reasoner, mergeable: Iterable[bool], trust: Mapping[str, int]
) -> list[NewStatement]:
    """Return the statements of entries. O(text), about 60 us for a chat turn."""
    return [
        NewStatement(e, tuple(reasoner.facts(e.cube.text, e.cube.speaker, e.cube.at)), free, is_trusted(e.cube, trust))
        for e, free in zip(entries, mergeable, strict=True)
    ]


def is_trusted(cube: MemCube, rules: Mapping[str, int]) -> bool:
    """Tell whether the source of a cube may end the facts of others."""
    return trust_of(cube.role, cube.source, rules) > Trust.UNTRUSTED


def write(
    store: Store,
    statements: Sequence[NewStatement],
    model: int | None,
    reasoner: Reasoner,
    trust: Mapping[str, int],
) -> Written:
    """Store statements, all or none, after deciding what each does to existing ones (see `decide`).

    Everything is read and written in one transaction, so that two writers cannot miss each other's statements. Costs,
    in addition to the rows, one lookup for the batch and O(facts about the same thing).
    """
    with store.transaction():
        active = _active_facts(store, statements, trust)
        duplicates = _duplicates(store, statements)
        texts: dict[str, tuple[str, list[tuple[int, int]]]] = {}
        batch = {s.cube.id: s for s in statements}

        def only_states(active_fact: ActiveFact) -> bool:
            if active_fact.cube in batch:
                statement = batch[active_fact.cube]
                spans = [(f.start, f.end) for f in statement.facts] + [
                    (d.span_start, d.span_end) for d in statement.entry.dates
                ]
                return adds_nothing_else(statement.cube.text, spans)
            if active_fact.cube not in texts:
                texts[active_fact.cube] = _spans(store, active_fact)
            return adds_nothing_else(*texts[active_fact.cube])

        outcomes: list[Outcome] = []
        for statement in statements:
            duplicate = duplicates.get(_duplicate_key(statement)) if statement.mergeable else None
            if duplicate is not None:
                outcomes.append(Outcome("NOOP", "the same words are there", duplicate, others=(duplicate,)))
                continue
            outcomes.append(decide(statement, active, reasoner.compare, only_states))
            if statement.mergeable and outcomes[-1].into is None:
                duplicates.setdefault(_duplicate_key(statement), statement.cube.id)
        added = [s for s, v in zip(statements, outcomes, strict=True) if v.into is None]
        keys = dict(zip([s.cube.id for s in added], store.insert([s.entry for s in added], model), strict=True))
        store.facts.put(
            StoredFact(s.cube.id, keys[s.cube.id], i, f, since(s.entry, f))
            for s in added
            for i, f in enumerate(s.facts)
        )
        confirmed = _merge(store, statements, outcomes, model)
        _link(store, statements, outcomes)
        _end(store, statements, outcomes, keys)
        store.decisions.put(
            Decision(v.into or s.cube.id, s.cube.learned, v.action, v.reason, v.others, reasoner.name)
            for s, v in zip(statements, outcomes, strict=True)
            if v.action != "ADD"
        )
        existing = store.get([v.into for v in outcomes if v.into] + [e for v in outcomes for e in _ended_new(v, keys)])
    cubes = [existing.get(v.into or s.cube.id, s.cube) for s, v in zip(statements, outcomes, strict=True)]
    return Written(cubes, confirmed)


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
        held = ActiveFact(f.cube, f.fact, f.since, to_micros(cube.at), cube.session is None, f, is_trusted(cube, trust))
        active.setdefault((f.fact.subject, f.fact.attribute), []).append(held)
    return active


def _duplicate_key(statement: NewStatement) -> tuple[int, str | None, str | None]:
    return text_hash(statement.cube.text), statement.cube.speaker, statement.cube.role


def _duplicates(store: Store, statements: Sequence[NewStatement]) -> dict[tuple[int, str | None, str | None], str]:
    hashes = [_duplicate_key(s)[0] for s in statements if s.mergeable]
    if not hashes:
        return {}
    return {(p, speaker, role): i for p, i, speaker, role, session in store.duplicates(hashes) if session is None}


def _spans(store: Store, active_fact: ActiveFact) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a stored cube, and the spans of its facts and dates."""
    if active_fact.stored is None:
        return "", []
    cube, n = store.get([active_fact.cube])[active_fact.cube], active_fact.stored.key
    facts = [(f.fact.start, f.fact.end) for f in store.facts.of([n])]
    return cube.text, facts + [(d.span_start, d.span_end) for d in store.dates([n]).get(n, [])]


def _merge(
    store: Store, statements: Sequence[NewStatement], outcomes: Sequence[Outcome], model: int | None
) -> list[str]:
    """Write the next versions of updated cubes; return the ids of confirmed cubes."""
    confirmed = []
    for statement, outcome in zip(statements, outcomes, strict=True):
        if outcome.into is None:
            continue
        confirmed.append(outcome.into)
        if outcome.action == "UPDATE":
            put_version(store, store.get([outcome.into])[outcome.into], statement, model)
    return confirmed


def revise(
    store: Store, statement: NewStatement, model: int | None, reasoner: Reasoner, trust: Mapping[str, int]
) -> None:
    """Store a statement as the next version of its cube, after deciding what it does to other cubes."""
    with store.transaction():
        active = _active_facts(store, [statement], trust)
        others = {key: [x for x in known if x.cube != statement.cube.id] for key, known in active.items()}
        outcome = decide(replace(statement, mergeable=False), others, reasoner.compare, lambda _: False)
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
        outcome = decide(statement, others, compare, lambda _: False)
        store.facts.put(
            StoredFact(statement.cube.id, n, first + i, f, since(statement.entry, f))
            for i, f in enumerate(statement.facts)
        )
        _link(store, [statement], [outcome])
        _end(store, [statement], [outcome], {statement.cube.id: n})
        store.decisions.put(
            [Decision(statement.cube.id, store.clock(), outcome.action, outcome.reason, outcome.others, maker)]
        )


def put_version(store: Store, old: MemCube, statement: NewStatement, model: int | None) -> MemCube:
    """Write a statement as the next version of a cube that it refines."""
    cube = replace(
        old, text=statement.cube.text, at=statement.cube.at, learned=statement.cube.learned, version=old.version + 1,
        metadata={**old.metadata, **statement.cube.metadata}, state="active", replaced=None, valid_to=None,
    )  # fmt: skip
    n = store.replace(replace(statement.entry, cube=cube), model)
    store.facts.put(StoredFact(cube.id, n, i, f, since(statement.entry, f)) for i, f in enumerate(statement.facts))
    return cube


def _link(store: Store, statements: Sequence[NewStatement], outcomes: Sequence[Outcome]) -> None:
    links: list[Link] = []
    for statement, outcome in zip(statements, outcomes, strict=True):
        if outcome.into is None:
            links += [Link(statement.cube.id, old, "supports") for old in outcome.supports if old != statement.cube.id]
            links += [Link(statement.cube.id, old, "contradicts") for old in outcome.contradicts]
            links += [Link(e.by, e.old.cube, "supersedes") for e in outcome.supersessions if e.by != e.old.cube]
    if links:
        store.links.put(links, to_micros(statements[-1].cube.learned))


def _ended_new(outcome: Outcome, keys: dict[str, int]) -> list[str]:
    return [e.old.cube for e in outcome.supersessions if e.old.cube in keys]


def _end(
    store: Store,
    statements: Sequence[NewStatement],
    outcomes: Sequence[Outcome],
    keys: dict[str, int],
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


def retire_empty(store: Store, touched: dict[str, tuple[int, datetime]]) -> list[str]:
    """Mark as superseded the cubes whose facts have all ended and that say nothing else; return their ids."""
    retired = []
    with store.transaction():
        for name, (until, learned) in touched.items():
            key = store.facts.active_version(name)
            facts = [] if key is None else store.facts.of([key])
            if not facts or any(f.ended is None for f in facts):
                continue
            text, spans = _spans(store, ActiveFact(name, facts[0].fact, 0, 0, True, facts[0]))
            if adds_nothing_else(text, spans):
                store.lives.supersede(name, until, to_micros(learned))
                retired.append(name)
    return retired
