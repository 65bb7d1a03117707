"""What was so then: among statements of the same, the one that held at the asked time comes first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mnemos.cube import Hit, MemCube, from_micros, to_micros
from mnemos.reason.past import Past
from mnemos.reason.past_words import Side
from mnemos.reason.questions import asked
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.recall.event import find_birth, find_event, says_so
from mnemos.text.recall.held import EVER, Held, held
from mnemos.text.recall.topic import Floats

Found = Sequence[tuple[int, Hit]]
Search = Callable[[str], Found]  # hits of a question in the same space, best first, in any state
Judge = Callable[[str, Sequence[MemCube]], Floats]  # how likely each cube answers a question, its time aside, (n,)
LEAST = 0.25  # probability from which a statement is put first
FLOOR = 0.03  # the same where the first hit hardly was so then
TIMES = 5.0  # by how much it is likelier than the first hit there
TOLD_WITH = (
    0.6  # least probability of a cube that tells of the event, too: "moved to Malmö and started as a tram driver"
)
DAY = 86_400_000_000
STATED = 0.9  # probability that what the rules read as the asked fact states it
OFTEN = 0.5  # share of what a statement counts of which the time is not known: "used to"


@dataclass(frozen=True, slots=True)
class Then:
    """The asked time, half-open in microseconds since 1970, and the event by which it was found."""

    start: int
    end: int
    side: Side = "during"
    event: tuple[int, MemCube] | None = None  # row key and cube
    phrase: str = ""  # as the question names the event
    bare: bool = False  # whether the cube of the event tells nothing else, as "Tim was born!"

    @property
    def label(self) -> str:
        """What `why` says of it: "true in 2021-01-01 to 2021-12-31"."""
        first, last = (f"{from_micros(t):%Y-%m-%d}" for t in (self.start, max(self.start, self.end - 1)))
        return f"true {'in' if self.side == 'during' else self.side} {first}" + (f" to {last}" if last != first else "")


def resolve(past: Past, store: Store, search: Search, judge: Judge) -> Then | None:
    """Return the time that a question names; None where its event or a birthday is not clearly found in the space."""
    if past.span is not None:
        return Then(to_micros(past.span[0]), to_micros(past.span[1]), past.side)
    if past.age is not None:
        found = find_birth(past.age, store, search)
        return None if found is None else Then(*found)
    event = find_event(past.event, past.side, store, search, judge)
    if event is None:
        return None
    apart = past.apart * DAY
    return Then(event.start + apart, event.end + apart, past.side, (event.key, event.cube), past.event, event.bare)


def put_first(
    then: Then, question: str, store: Store, hits: Found, about: Found, filter: Filter, judge: Judge
) -> Found:
    """Return the hits, the statement in front that answers a `question` for what was so then.

    It is looked for among the hits of the question without its time, `about`, and the cubes that state what is asked as
    facts. Each counts by how likely it answers the question, if it had begun by then and nothing later of its kind had.
    """
    if hits and then.side == "during" and not then.event and filter.true_at is None and _is_of(hits[0], then, store):
        return hits  # told at the asked time, or speaks of it
    known = stated_by(store, question, filter)
    group = _statements(then, store, about, known)
    if not group:
        return _begun_first(then, store, hits)
    keys, cubes = [key for key, _ in group], [hit.cube for _, hit in group]
    dates = store.dates(keys)
    times = [held(cube, dates.get(key, ())) for key, cube in zip(keys, cubes, strict=True)]
    chances = judge(question, cubes)
    if then.event and then.side == "during" and then.event[0] in keys:
        own = keys.index(then.event[0])
        chances[own] = max(chances[own], min(TOLD_WITH, 4 * chances[own]))
    chances = np.maximum(chances, [STATED if key in known else 0.0 for key in keys])
    weights = weigh(then, times, chances)
    for i, cube in enumerate(cubes):
        if then.phrase and says_so(cube.text, then.phrase, then.side):
            weights[i] = max(weights[i], chances[i])
    i = int(np.argmax(weights))
    first = keys.index(hits[0][0]) if hits and hits[0][0] in keys else None
    rival = weights[first] if first is not None else 0.0
    if weights[i] < LEAST and (weights[i] < FLOOR or weights[i] < TIMES * rival):
        return _begun_first(then, store, hits)
    key, hit = group[i]
    hit = dict(hits).get(key, hit)
    why = {then.label: max(hits[0][1].score if hits else 0.0, hit.score) - hit.score, **hit.why}
    return [(key, replace(hit, score=sum(why.values()), why=why)), *(one for one in hits if one[0] != key)]


def _is_of(hit: tuple[int, Hit], then: Then, store: Store) -> bool:
    key, cube = hit[0], hit[1].cube
    dates = store.dates([key]).get(key, ())
    return then.start <= to_micros(cube.at) < then.end or any(d.start < then.end and d.end > then.start for d in dates)


def _begun_first(then: Then, store: Store, hits: Found) -> Found:
    """Return the hits, the first one that had begun by the asked time in front: what began later was not so then."""
    if then.side == "after" or not hits:
        return hits
    dates = store.dates([key for key, _ in hits])
    last = then.start if then.side == "before" else max(then.end, then.start + 1)
    event = then.event[0] if then.event else None
    for i, (key, hit) in enumerate(hits):
        if key != event and held(hit.cube, dates.get(key, ())).start < last:
            return [hits[i], *hits[:i], *hits[i + 1 :]]
    return hits


def weigh(then: Then, times: Sequence[Held], chances: Floats) -> Floats:
    """Return how likely each of n statements is the one that was so then, (n,).

    A statement counts from when it begins until the first later one that is of the same, by their chances; one that
    names the time itself counts before those that do not. Over a span it is the mean. O(n^2).
    """
    if then.side == "after":
        return _following(then, times, chances)
    first = then.start - 1 if then.side == "before" else then.start
    last = first + 1 if then.side == "before" else max(then.end, first + 1)
    edges = sorted({first, last, *(t for time in times for t in (time.start, time.end) if t and first < t < last)})
    total = np.zeros(len(times))
    for start, end in pairwise(edges):
        total += _at(start, times, chances) * (end - start) / (last - first)
    return total


def _at(moment: int, times: Sequence[Held], chances: Floats) -> Floats:
    """Return how likely each statement held at a moment, (n,)."""
    begun = [t.start <= moment and (t.end is None or moment < t.end) for t in times]
    sure = [b and t.named and t.end is not None for b, t in zip(begun, times, strict=True)]
    over = float(np.prod([1 - c for c, s in zip(chances, sure, strict=True) if s]))
    found = np.zeros(len(times))
    for i, time in enumerate(times):
        if not begun[i]:
            continue
        if sure[i]:
            found[i] = chances[i]
        elif time.start == EVER:
            found[i] = chances[i] * OFTEN * over
        else:
            later = [chances[j] for j, t in enumerate(times) if time.start < t.start <= moment and not _closed(t)]
            found[i] = chances[i] * float(np.prod([1 - c for c in later])) * over
    return found


def _following(then: Then, times: Sequence[Held], chances: Floats) -> Floats:
    """Return how likely each statement is the first one after a time, (n,), else the one that held at it."""
    found = _at(then.end, times, chances) * OFTEN
    for i, time in enumerate(times):
        if time.start >= then.start:
            between = [chances[j] for j, t in enumerate(times) if then.start <= t.start < time.start]
            found[i] = chances[i] * float(np.prod([1 - c for c in between]))
    return found


def _closed(time: Held) -> bool:
    return time.end is not None and time.named


def _statements(then: Then, store: Store, about: Found, stated: Mapping[int, MemCube]) -> list[tuple[int, Hit]]:
    """Return the hits by or about the person whom the best one is of, and the cubes that state the asked fact."""
    event = then.event[0] if then.event and (then.side != "during" or then.bare) else None
    rest = [one for one in about if one[0] != event]
    who = rest[0][1].cube.speaker if rest else None
    of_him = re.compile(rf"\b{re.escape(who)}\b") if who else None
    found = {k: hit for k, hit in rest if hit.cube.speaker == who or (of_him and of_him.search(hit.cube.text))}
    for key, cube in stated.items():
        if key != event:
            found.setdefault(key, Hit(cube, 0.0, {}))
    return list(found.items())


def stated_by(store: Store, question: str, filter: Filter) -> dict[int, MemCube]:
    """Return the cubes that state what a question asks for, ended or not, by row key, as far as facts were read."""
    pairs = asked(question, me=filter.speaker.lower() if filter.speaker else "user")
    if not pairs:
        return {}
    facts = [f for f in store.facts.find(pairs, ended=True, as_of=filter.as_of) if not f.fact.negated]
    stated = {(f.fact.subject, f.fact.attribute) for f in facts}
    first = next((pair for pair in pairs if pair in stated), None)
    keys = sorted({f.key for f in facts if (f.fact.subject, f.fact.attribute) == first})
    shown = store.matching(filter, keys)
    return {key: cube for key, cube in store.by_key(keys).items() if key in shown}
