"""What was so then: among statements of the same, the one that held at the asked time comes first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mnemos.cube import Hit, MemCube, from_micros, to_micros
from mnemos.index.lexical import idf
from mnemos.index.terms import terms, to_terms
from mnemos.reason.past import Past
from mnemos.reason.past_words import Side
from mnemos.reason.questions import asked
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.recall.chain import Chain, Reader, held_at, placed
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.event import find_birth, find_end, find_event, says_so, tells_of
from mnemos.text.recall.held import held
from mnemos.text.recall.topic import Floats

Found = Sequence[tuple[int, Hit]]
Search = Callable[[str], Found]  # hits of a question in the same space, best first, in any state
DAY = 86_400_000_000
LEAST = 0.25  # probability from which a statement is put first
FLOOR = 0.03  # the same where the first hit hardly was so then
TIMES = 5.0  # by how much it is likelier than the first hit there
SURELY, NEARLY = 0.5, 0.2  # probability, and behind the best, from which a hit that is of the asked time stays first
NARROW = 32 * DAY  # a span in which something was said, rather than was so
ALIKE = 6  # hits of a statement's own words that are looked at
STATED = 0.9  # probability that what the rules read as the asked fact states it
MISSED = 0.25  # share of the words of a question, by weight, that tells what is about it from what is not
_WHILE = re.compile(r"\b(?:while|when|during)\b", re.IGNORECASE)
LACKED = 4.0  # nats of a question's words that a text may lack and still come before one that has them
OFTEN = 0.5  # share of what held at an event counts where what came after it is asked for
ITSELF = 0.3  # what counts of a statement of an event where what was so at the event is asked for
SOON = 45 * DAY  # how long after an event what began with it is told


@dataclass(frozen=True, slots=True)
class Then:
    """The asked time, half-open in microseconds since 1970, and the event by which it was found."""

    start: int
    end: int
    side: Side = "during"
    event: tuple[int, MemCube] | None = None  # row key and cube
    phrase: str = ""  # as the question names the event
    bare: bool = False  # whether the cube of the event tells nothing else, as "Tim was born!"
    order: int | None = None  # instead of a time, which of all of its kind: 0 is the first, -2 the one before the last

    @property
    def label(self) -> str:
        """What `why` says of it: "true in 2021-01-01 to 2021-12-31"."""
        if self.order is not None:
            return f"number {self.order + 1}" if self.order >= 0 else "the one before"
        first, last = (f"{from_micros(t):%Y-%m-%d}" for t in (self.start, max(self.start, self.end - 1)))
        return f"true {'in' if self.side == 'during' else self.side} {first}" + (f" to {last}" if last != first else "")


def resolve(past: Past, store: Store, search: Search, reader: Reader) -> Then | None:
    """Return the time that a question names; None where its event or a birthday is not clearly found in the space."""
    if past.order is not None:
        return Then(0, 0, order=past.order)
    if past.span is not None:
        return Then(to_micros(past.span[0]), to_micros(past.span[1]), past.side)
    if past.age is not None:
        found = find_birth(past.age, past.years, past.who, store, search)
        return None if found is None else Then(*found)
    event = find_event(past.event, past.side, past.lasting, store, search, reader)
    if event is None:  # "the 2020 lockdown" names its year
        return None if past.named is None else Then(to_micros(past.named[0]), to_micros(past.named[1]), past.side)
    apart = past.apart * DAY
    return Then(event.start + apart, event.end + apart, past.side, (event.key, event.cube), past.event, event.bare)


def end_first(past: Past, hits: Found, search: Search) -> Found:
    """Return the hits, in front what tells that something was over: "Until when was I at Acme?". Costs one search."""
    found = search(past.event)
    i = find_end(past.event, found)
    if i is None:
        return hits
    key, hit = found[i]
    hit = dict(hits).get(key, hit)
    why = {"over": max(hits[0][1].score if hits else 0.0, hit.score) - hit.score, **hit.why}
    return [(key, replace(hit, score=sum(why.values()), why=why)), *(one for one in hits if one[0] != key)]


def begun(then: Then, question: str, store: Store, hits: Found, about: Found, weights: Mapping[str, float]) -> Found:
    """Return the hits with those first that are `about` the question without its time and had begun by then, in their order.

    A state lasts: what was so on a day was said before it as a rule, while what else was said on that day comes first by
    the words and the time of the whole question. The hits stay as they are where something of that time has the words of the
    question too: `weights` are those of its terms, of which the best that had begun has to have `MISSED` more. Nor do they
    change for what was so during something else that happened then: "In May, while chatting with Bo, what did she like?"
    """
    if then.side == "after" or then.order is not None or _WHILE.search(question):
        return hits
    both = dict(about) | dict(hits)
    dates, last = store.dates(list(both)), _last(then)
    began = {key for key, hit in both.items() if held(hit.cube, dates.get(key, ())).start < last}
    of_it = {key for key in both if _is_of((key, both[key]), then, store)}
    said = {key: _said(both[key].cube, weights) for key in both}
    best = max((said[key] for key, _ in about if key in began), default=0.0)
    if best - max((said[key] for key in of_it), default=0.0) < MISSED:
        return hits
    first = {key: hit for key, hit in about if key in began}
    return [*first.items(), *(one for one in hits if one[0] not in first)]


def weights_of(words: Sequence[str], corpus: Corpus) -> dict[str, float]:
    """Return the terms of the words of a question that the space has, and the weight of each: its rarity there."""
    found = {t: corpus.words.posting(w, corpus.alive) for t, w in zip(to_terms(words), words, strict=True)}
    return {t: idf(corpus.count, len(p.positions)) for t, p in found.items() if p is not None and len(p.positions)}


def may_lead(then: Then, reordered: Found, ranked: Found, weights: Mapping[str, float], store: Store) -> bool:
    """Tell whether what is in front of reordered hits may come before the first of the ranking.

    Not where both held at the same time: then time says nothing of them. Nor where it lacks `LACKED` of the words of the question
    that the other has, each as rare as it is: a statement of a person shares a common word or none with its question, and a text
    without its rare words speaks of something else.
    """
    if not reordered or not ranked or reordered[0][0] == ranked[0][0]:
        return True
    (a, first), (b, other) = reordered[0], ranked[0]
    dates = store.dates([a, b])
    if (then.event is None or then.event[0] != b) and held(first.cube, dates.get(a, ())) == held(
        other.cube, dates.get(b, ())
    ):
        return False
    lacked = _said(other.cube, weights) - _said(first.cube, weights)
    return lacked * sum(weights.values()) < LACKED


def _said(cube: MemCube, weights: Mapping[str, float]) -> float:
    """Return the share of the words of a question, by weight, that a cube or the name of its speaker has."""
    found = set(terms(f"{cube.speaker or ''} {cube.text}"))
    return sum(w for term, w in weights.items() if term in found) / max(sum(weights.values()), 1e-9)


def with_alike(then: Then, question: str, about: Found, search: Search, reader: Reader) -> Found:
    """Return hits with those of what is like the likeliest of them, and like what its event was: "goodbye Ryanair, hello Aer
    Lingus" has no word of the question where Aoife worked, but of "signed with Ryanair". Costs one or two searches."""
    if not about:
        return about
    likely = reader.likely(question, [hit.cube for _, hit in about])
    texts = [about[int(np.argmax(likely))][1].cube.text]
    if then.event and then.side != "during" and not then.bare:
        texts.append(then.event[1].text)
    found = dict(about)
    for text in texts:
        for key, hit in search(text)[:ALIKE]:
            found.setdefault(key, hit)
    return list(found.items())


def put_first(
    then: Then, question: str, store: Store, hits: Found, about: Found, filter: Filter, reader: Reader
) -> Found:
    """Return the hits, the statement in front that answers a `question` for what was so then.

    It is looked for among the hits of the question without its time, `about`, and the cubes that state what is asked as
    facts. Each counts by how likely it answers the question, if it had begun by then and nothing later of its kind had.
    """
    known = stated_by(store, question, filter)
    group = _statements(then, about, known)
    if not group:
        return _begun_first(then, store, hits)
    keys, cubes = [key for key, _ in group], [hit.cube for _, hit in group]
    chances = np.maximum(reader.likely(question, cubes), [STATED if key in known else 0.0 for key in keys])
    first = keys.index(hits[0][0]) if hits and hits[0][0] in keys else None
    if (
        first is not None
        and filter.true_at is None
        and _is_of(hits[0], then, store)
        and (then.end - then.start <= NARROW or chances[first] >= max(SURELY, chances.max() - NEARLY))
    ):
        return hits  # told at the asked time, or speaks of it
    dates = store.dates(keys)
    chain = reader.chain(
        question, cubes, [held(cube, dates.get(key, ())) for key, cube in zip(keys, cubes, strict=True)], chances
    )
    weights = weigh(then, chain)
    for i, (key, cube) in enumerate(group):
        if then.event and key == then.event[0]:
            weights[i] *= ITSELF if then.side == "during" else 0.0
        elif then.side == "during" and then.phrase and tells_of(cube.cube.text, then.phrase):
            weights[i] *= ITSELF
        elif then.phrase and says_so(cube.cube.text, then.phrase, then.side):
            weights[i] = max(weights[i], chances[i])
    i = int(np.argmax(weights))
    rival = weights[first] if first is not None else 0.0
    if weights[i] < LEAST and (weights[i] < FLOOR or weights[i] < TIMES * rival):
        return _begun_first(then, store, hits)
    key, hit = group[i]
    hit = dict(hits).get(key, hit)
    why = {then.label: max(hits[0][1].score if hits else 0.0, hit.score) - hit.score, **hit.why}
    return [(key, replace(hit, score=sum(why.values()), why=why)), *(one for one in hits if one[0] != key)]


def _is_of(hit: tuple[int, Hit], then: Then, store: Store) -> bool:
    if then.side != "during" or then.event or then.order is not None:
        return False
    key, cube = hit[0], hit[1].cube
    dates = store.dates([key]).get(key, ())
    return then.start <= to_micros(cube.at) < then.end or any(d.start < then.end and d.end > then.start for d in dates)


def _begun_first(then: Then, store: Store, hits: Found) -> Found:
    """Return the hits, the first one that had begun by the asked time in front: what began later was not so then."""
    if then.side == "after" or then.order is not None or not hits:
        return hits
    dates = store.dates([key for key, _ in hits])
    last, event = _last(then), then.event[0] if then.event else None
    for i, (key, hit) in enumerate(hits):
        if key != event and held(hit.cube, dates.get(key, ())).start < last:
            return [hits[i], *hits[:i], *hits[i + 1 :]]
    return hits


def _last(then: Then) -> int:
    """Return the time by which what was so then had begun."""
    return then.start if then.side == "before" else max(then.end, then.start + 1)


def weigh(then: Then, chain: Chain) -> Floats:
    """Return how likely each of n statements is the one that was so then, (n,).

    Over a span it is the mean. Where nothing had begun at an event what begins within `SOON` after it counts: "Started at the
    museum", and two weeks later "I cycle in along the river now". O(n^2) for each time at which one begins or ends.
    """
    if then.order is not None:
        return placed(chain, then.order)
    if then.side == "after":
        return _following(then, chain)
    first = then.start - 1 if then.side == "before" else then.start
    last = first + 1 if then.side == "before" else max(then.end, first + 1)
    found = _over(first, last, chain)
    if then.side == "during" and then.event and found.max() < LEAST:
        found = np.maximum(found, _over(first, last + SOON, chain))
    return found


def _over(first: int, last: int, chain: Chain) -> Floats:
    """Return the mean of the probabilities over a span, (n,)."""
    edges = sorted(
        {first, last, *(t for time in chain.times for t in (time.start, time.end) if t and first < t < last)}
    )
    total = np.zeros(len(chain.times))
    for start, end in pairwise(edges):
        total += held_at(chain, start) * ((end - start) / (last - first))
    return total


def _following(then: Then, chain: Chain) -> Floats:
    """Return how likely each statement is the first one after a time, (n,), else the one that held at it."""
    found = held_at(chain, then.end) * OFTEN
    start = np.array([time.start for time in chain.times])
    for i in np.flatnonzero(start >= then.start):
        between = chain.chances[(start >= then.start) & (start < start[i])]
        found[i] = chain.chances[i] * float(np.prod(1 - between))
    return found


def _statements(then: Then, about: Found, stated: Mapping[int, MemCube]) -> list[tuple[int, Hit]]:
    """Return the hits by or about the person whom the best one is of, and the cubes that state the asked fact."""
    who = about[0][1].cube.speaker if about else None
    of_him = re.compile(rf"\b{re.escape(who)}\b") if who else None
    found = {k: hit for k, hit in about if hit.cube.speaker == who or (of_him and of_him.search(hit.cube.text))}
    for key, cube in stated.items():
        found.setdefault(key, Hit(cube, 0.0, {}))
    if then.event and not then.bare:
        found.setdefault(then.event[0], Hit(then.event[1], 0.0, {}))
    elif then.event:
        found.pop(then.event[0], None)
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
