"""The newest value first: of hits that state the same thing of the same person, the one that holds now."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from mnemos.cube import Hit, to_micros
from mnemos.index.function_words import votes
from mnemos.index.language import is_english
from mnemos.index.terms import stop_terms, terms, words_of
from mnemos.reason.quoted import own_words
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.corrections import corrected
from mnemos.text.recall.evidence import NAME
from mnemos.text.recall.judgement import (
    SELF,
    Statement,
    Vector,
    by_vectors,
    by_words,
    fitted_on,
    judge,
    same_frame,
    tells_change,
)
from mnemos.text.recall.many import USUAL
from mnemos.text.recall.telling import KINDS, READ, Told, read_telling

WHY = "newest"
LOOKED_AT = 6  # hits from the top among which the one that holds now is looked for
DOUBTS = tuple(map(KINDS.index, ("they", "wish", "past")))
_THEY = KINDS.index("they")
STEPS = 3  # times that another hit may take the first place
BARS = {  # log-odds from which a hit takes the first place, fitted with each set left out in turn
    "newer": 0.8,
    "newer, no word of change": 1.5,
    "newer, of another": 1.5,
    "older": -0.6,
}
NEAR = 0.35  # of what the cosine adds to the first: the most that costs nothing on the hand of the package (.35 to .7 tried)
SHORT = 30  # words of a text at most: what says more is about more
_NAMED = "call|nam|marri|bas|locat|suppos|allow|relat|prefer|associat|interest|involv|engag|us|host|locat|ne|own"
GERMAN = re.compile(
    r"\W*was\b(?=.*\b(?:ich|mir|mein\w*|wir|uns\w*|ist|sind|hat|haben|macht|trinkt|isst|für|der|die|das|er|ihr|gerade|heute)\b)"
    r"(?!.*\b(?:war|waren|hatte|hatten|gestern|damals|fr\u00fcher|i|the|my|it|he|she|that|this|there)\b)",
    re.IGNORECASE,
)
_REQUEST = re.compile(r"\b(?:tell|remind|show|give|help|send|read|find|get|let) me\b", re.IGNORECASE)  # not about "me"
_BACK = re.compile(
    r"\b(?:did|was|were|had|ago|when (?!is|are|do|does|will|can|'s|\u2019s|am)|(?:19|20)\d\d|would|might|could|said|"
    r"mentioned|used to|went|got|took|made|told|shared|gave|happened|inspired|"
    r"(?:has|have|'ve|\u2019ve) (?:\w+ ){0,2}?(?:been|\w+ed|gone|done)|"
    rf"\w{{2,}}{''.join(f'(?<!{w})' for w in _NAMED.split('|'))}ed)\b",
    re.IGNORECASE,
)


@register("promote-newest")
@dataclass(frozen=True, slots=True)
class PromoteNewest:
    """Move the hit that states what holds now before the first one (ours): a learned judgement of pairs.

    "Corsa's gone, we drive a Volvo now" comes before "the corsa passed its MOT", although no rule reads either; a later
    "my sister bought a Volvo" does not. Of numbered facts in the same words the last told counts. What it came before is
    the next hit. A correction right after what it corrects ("No, I meant 9:40") comes before that. Else only questions in
    the present tense are judged; a search for superseded cubes keeps its order. Costs 50 us for each of the first six hits,
    and a lookup of their vectors.
    """

    least: ClassVar[int] = USUAL

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first `k` hits, the one that holds now in front at the score of the best."""
        past = filter.superseded or filter.true_at is not None
        if not past and len(hits) > 1 and (place := corrected(store, hits)):
            return in_front(hits, place)[:k]
        top, now = hits[:LOOKED_AT], asks_now(asked.text)
        if past or len(top) < 2 or asked.settled or not (now or top[0][1].cube.speaker is None):
            return list(hits[:k])
        if len(top[0][1].cube.text.split()) > SHORT:
            return list(hits[:k])
        q = read_telling(_REQUEST.sub(" ", asked.text))
        stated = _stated(store, asked, top)
        place = last_in_frame(q, stated)
        if not place and now:
            near = [hit.why.get("cosine", 0.0) for _, hit in top]
            own = q if asks_own(q) or not _unsaid(asked.text, q, stated[0]) else _as_own(q)
            place = first_of(own, stated, _judged(asked, q, stated, near), BARS)
        return in_front(hits, place)[:k] if place else list(hits[:k])


def asks_now(question: str) -> bool:
    """Tell whether a question is in the present tense, and names no time: "Was esse ich?" is, German for "what do I eat?"."""
    found = _BACK.search(question)
    return found is None or (found[0].lower() == "was" and GERMAN.match(question) is not None)


def asks_own(q: Told) -> bool:
    """Tell whether a question is about its asker."""
    return q.cues[SELF] > 0


def _unsaid(question: str, q: Told, first: Statement) -> bool:
    """Tell whether a question names nobody, in a language that need not say "I": "Dove abito?", "¿Dónde vivo?"."""
    nobody = not q.people and not q.cues[_THEY] and not NAME.findall(question.lstrip("\u00bf\u00a1 "))
    words = words_of(question)
    foreign = not is_english(words) and not any(
        len(word) > 2 and word in stop_terms() for word in words
    )  # nor "the door"
    return nobody and first.voice[0] is not None and foreign


def _as_own(q: Told) -> Told:
    return replace(q, cues=tuple(n + (i == SELF) for i, n in enumerate(q.cues)))


def first_of(
    q: Told, stated: Sequence[Statement], weigh: Callable[[int, int], float], bars: Mapping[str, float]
) -> int:
    """Return the place of the hit that comes first: others take its place as long as they are judged better.

    `weigh` gives the log-odds of (first, other). What came in for another one gives way to an older one only where that
    is plainly its asker's own and more likely than not: it would come before what was replaced, too.
    """
    first, seen, came_in = 0, {0}, False
    for _ in range(STEPS):
        best, gain = first, 0.0
        for i, other in enumerate(stated):
            judgement = None if i in seen else judgement_of(q, stated[first], other)
            bar = 0.0 if judgement is None else bars[judgement]
            if came_in and judgement == "older":
                if not plainly_own(q, other.told):
                    continue
                bar = max(bar, 0.0)
            if judgement is not None and (odds := weigh(first, i) - bar) > gain:
                best, gain = i, odds
        if best == first:
            break
        came_in = came_in or stated[best].at > stated[first].at
        first = best
        seen.add(first)
    return first


def judgement_of(q: Told, x: Statement, y: Statement) -> str | None:
    """Return which of `BARS` a hit must pass to come before another one; None: it may not.

    A newer one must be of the same voice, since nobody speaks for another, and have a word of change. An older one comes
    before what is not plainly its asker's own: of other people, a question, a wish, long past.
    """
    if x.at == y.at or max(len(x.told.words), len(y.told.words)) > SHORT:
        return None
    own = asks_own(q)
    if y.at > x.at:
        if y.voice != x.voice:
            return None
        if not tells_change(y.told):
            return "newer, no word of change" if own else None
        return "newer" if own else "newer, of another"
    return "older" if own and not plainly_own(q, x.told) else None


def plainly_own(q: Told, told: Told) -> bool:
    """Tell whether a text asserts something of its speaker, by its words."""
    if told.asks or told.of_named or (told.people and not q.people):
        return False
    return (told.cues[SELF] > 0 or told.did) and not any(told.cues[kind] for kind in DOUBTS)


def last_in_frame(q: Told, stated: Sequence[Statement]) -> int:
    """Return the place of the last told that says the same as the first with another value, nobody's statements both."""
    x = stated[0]
    if x.voice[0] is not None or asks_own(q) or x.told.asks:
        return 0
    same = [i for i, y in enumerate(stated) if y.at > x.at and y.voice == x.voice and same_frame(q, x.told, y.told)]
    return max(same, key=lambda i: stated[i].at, default=0)


def in_front(hits: Sequence[tuple[int, Hit]], place: int) -> list[tuple[int, Hit]]:
    """Return the hits with the one at `place` in front, at the score of the best: `why` says "newest"."""
    key, hit = hits[place]
    why = dict(hit.why)
    if gap := max(h.score for _, h in hits) - hit.score:
        why = {WHY: gap + why.pop(WHY, 0.0), **why}
    return [(key, replace(hit, score=sum(why.values()), why=why)), *hits[:place], *hits[place + 1 :]]


def _stated(store: Store, asked: Asked, top: Sequence[tuple[int, Hit]]) -> list[Statement]:
    vectors: Mapping[int, Vector] = {}
    if asked.model is not None and asked.embedder == fitted_on():
        vectors = store.vectors.of(asked.model, [key for key, _ in top])
    found = []
    for key, hit in top:
        cube = hit.cube
        told = read_telling(own_words(cube.text[:READ]))
        voice = cube.speaker, cube.role, cube.source
        found.append(Statement(told, to_micros(cube.at), voice, cube.session, vectors.get(key)))
    return found


def _judged(asked: Asked, q: Told, stated: Sequence[Statement], near: Sequence[float]) -> Callable[[int, int], float]:
    """Return a function that weighs (first, other), by vectors where all have one; `near` is what cosines add to scores.

    An older one is of something else if it is far from the question beside the first, lacks a name of the question that
    the first has, or is an assistant's; without vectors also if it lacks a word of the question that the first has.
    """
    names = frozenset(terms(" ".join(NAME.findall(asked.text))))
    vector = asked.vector if all(s.vector is not None for s in stated) else None
    content = q.terms if vector is not None else frozenset(terms(" ".join(w for w in q.words if w not in votes())))

    def weigh(first: int, other: int) -> float:
        x, y = stated[first], stated[other]
        if y.at < x.at and (
            near[other] < NEAR * near[first]
            or (names if vector is not None else content) & x.told.terms - y.told.terms
            or y.voice[1] == "assistant"
        ):
            return -math.inf
        found = by_words(asked.text, q, x, y)
        if vector is not None and x.vector is not None and y.vector is not None:
            found |= by_vectors(found, vector, x.vector, y.vector)
        return judge("newer" if y.at > x.at else "older", vector is not None).weigh(found)

    return weigh
