"""Where one lives, works, whom one is with, now, asked in another language than English: the newest telling of it is first.

The judgement of `newest` was fitted on English and leans on vectors of a model that knows nothing else. Elsewhere the
words tell: `mnemos.reason.state_words` knows how a dozen matters are asked for and told in eighteen languages. A telling
need not share a word with the question ("Wo wohne ich?", "Ich bin nach Kiel gezogen"), so that those of the state are
looked for by its own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mnemos.cube import Hit
from mnemos.index.function_words import votes
from mnemos.index.language import is_english
from mnemos.index.terms import stop_terms, words_of
from mnemos.reason.quoted import own_words
from mnemos.reason.state_words import READ, WORD, about, asked_state, is_unspaced, states, words_for
from mnemos.text.recall.newest import in_front
from mnemos.text.recall.telling import KINDS, Told, read_telling
from mnemos.text.update.voices import is_own

SELF, OTHER = KINDS.index("self"), KINDS.index("other")
CHANGE = tuple(map(KINDS.index, ("now", "over")))
LONG = 60  # words of a text at most: what says more is about more
LOOKED_FOR = 40  # tellings of a state by its words, among which the newest is looked for
_YEAR = re.compile(r"(?:19|20)\d\d")
_WAS = re.compile("[てで]い(?:まし)?た|以前|之前|曾|住过|过去|었[어나던]|았[어나던]|했[어나던]")


def state_of(question: str) -> str | None:
    """Return the state that a question asks of its asker as of now, in another language than English; None for another one."""
    words = words_of(question)
    if is_english(words) and any(len(w) > 2 and w in stop_terms() for w in words):
        return None
    q = read_telling(question)
    if q.cues[KINDS.index("past")] or q.cues[KINDS.index("wish")] or _WAS.search(question) or _YEAR.search(question):
        return None
    state = asked_state(question, own=q.cues[SELF] > 0)
    return None if state is None or _of_its_own(question, state) else state


def looked_for(state: str) -> str:
    """Return the words by which tellings of a state are looked for."""
    return words_for(state)


def told_first(
    state: str, hits: Sequence[tuple[int, Hit]], more: Sequence[tuple[int, Hit]], rules: Mapping[str, int]
) -> tuple[list[tuple[int, Hit]], bool]:
    """Return the hits with the newest telling of a state by its asker in front, and whether there is one.

    It may be one of `more`, which are none otherwise.

    Only somebody's own words count, of one voice: that of the first hit that tells of it. Costs some 20 us a text.
    """
    seen = {key for key, _ in hits}
    every = [*hits, *((key, hit) for key, hit in more if key not in seen)]
    telling = [(i, hit) for i, (_, hit) in enumerate(every) if is_own(hit.cube, rules) and tells(state, hit.cube.text)]
    if not telling:
        return list(hits), False
    voice = _voice(telling[0][1])
    place = max((i for i, hit in telling if _voice(hit) == voice), key=lambda i: (every[i][1].cube.at, every[i][0]))
    if place == 0:
        return list(hits), True
    if place >= len(hits):
        hits, place = [*hits, every[place]], len(hits)
    return in_front(hits, place), True


def _of_its_own(question: str, state: str) -> list[str]:
    """Return the words of a question beside those for its state and its asker; none of a script without spaces."""
    return [
        word
        for word in WORD.findall(question.casefold())
        if not (word in votes() or is_unspaced(word) or about(state, word) or read_telling(word).cues[SELF])
    ]


def tells(state: str, text: str) -> bool:
    """Tell whether a text asserts something of its author's state: not of others, wished, asked or long past."""
    text = own_words(text[:READ])
    told = read_telling(text)
    if told.asks or len(told.words) > LONG or told.cues[KINDS.index("wish")]:
        return False
    return states(
        state,
        text,
        own=told.cues[SELF] > 0,
        change=any(told.cues[kind] for kind in CHANGE),
        alone=_alone(state, told),
        they=told.cues[KINDS.index("they")] > 0,
    )


def _alone(state: str, told: Told) -> bool:
    """Tell whether a text names nobody who could be meant instead of its author, nor a time long ago or a short one."""
    others = any(not about(state, who) for who in told.people)
    apart = any(told.cues[KINDS.index(kind)] for kind in ("past", "while"))
    return not others and not apart


def _voice(hit: Hit) -> tuple[str | None, ...]:
    return hit.cube.speaker, hit.cube.role, hit.cube.source
