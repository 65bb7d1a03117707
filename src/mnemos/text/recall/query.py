"""A prepared question: its terms, its vector, and what it says about who, when and how many."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import to_micros
from mnemos.embed.languages import spoken_in
from mnemos.index.function_words import of_language
from mnemos.index.language import languages, script
from mnemos.index.stems import tag
from mnemos.index.terms import stop_terms, to_terms, words_of
from mnemos.text.recall.association import is_remark

_MANY = re.compile(r"\bhow (?:many|much|often|old|long|far|big|tall)\b|\bwhat (?:number|percentage|amount)\b", re.I)
ME = re.compile(r"\b(?:i|me|my|mine|myself)\b", re.I)
_YOU = re.compile(r"\b(?:you|your|yours)\b", re.I)
_PLANS = re.compile(
    r"\b(?:should|could|can|shall|might|may) (?:i|we)\b|\b(?:suggest|recommend|advise|advice|ideas?|tips?)\b", re.I
)
_DID = re.compile(r"\b(?:did|have|has|had|was|were)\b", re.I)
_ASKS = re.compile("[?\u037e\u061f\u1367\u2e2e\ua60f\ua6f7\uff1f]")
_WHATEVER = """
happen happened happening occur occurred go going went gone get got do doing done did be been event events activity activities
thing things anything everything something note notes entry entries record records memory memories message messages say said
tell told talk talked mention mentioned discuss discussed write wrote plan plans planned schedule scheduled day date time week
month remember recall know learn learned passiert passierte geschah gemacht machte war los gesagt erzählt pasó hice hizo hicimos
dije fait fis passé dit aconteceu fiz fez disse successo fatto detto
"""
_ANYTHING = frozenset(to_terms(_WHATEVER.split()))  # what is said by a question for whatever there was at a time
READ = 8_000  # characters of a question that are read
WORDS = 256  # content words of a question that are looked up


def everywhere(language: str) -> float:
    """Tell that an embedder knows every language: what is assumed of one that does not say."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """What the signals read of a question."""

    terms: frozenset[str]
    content: tuple[str, ...]  # its words without function words, one of each term
    vector: NDArray[np.floating] | None  # (D,); None without an embedder
    span: tuple[int, int] | None  # the time it restricts itself to, half-open, in microseconds since 1970
    asks_when: bool
    asks_number: bool
    says_i: bool
    says_you: bool
    asks: bool = True  # whether it has a question mark; a remark recalls what it is about
    language: str = "en"  # of its words; "" where no language is known
    fluency: Callable[[str], float] = everywhere  # how well the embedder knows a language, 0 to 1
    remarks: bool = False  # it tells something instead of asking
    said: tuple[str, ...] = ()  # all its words
    only_time: bool = False  # it asks for whatever there was in its time: "What happened on 4 May?"
    plans: bool = False  # it asks what to do in its time, which is not over: what was told in that time is no answer

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for questions that are ranked the same."""
        vector = None if self.vector is None else self.vector.tobytes()
        return (
            self.content, vector, self.span, self.asks_when, self.asks_number, self.says_i, self.says_you, self.terms,
            self.asks, self.language, self.remarks, self.said, self.only_time, self.plans,
        )  # fmt: skip

    def without_vector(self) -> Query:
        """Return the same question for a search by words only."""
        return replace(self, vector=None)


def bounded(question: str) -> str:
    """Return a question, or both ends of one longer than 8,000 characters: what is asked stands at either."""
    if len(question) <= READ:
        return question
    return f"{question[: READ // 2]} {question[-READ // 2 + 1 :]}"


def make_query(
    text: str,
    vector: NDArray[np.floating] | None,
    asked_at: datetime,
    fluency: Callable[[str], float] = everywhere,
) -> Query:
    """Prepare a question; its time words ("last week") are resolved against `asked_at`.

    Of more than 256 content words the first and the last 128 count, so that ranking costs at most 256 postings.
    """
    from mnemos.reason.dates import asks_when, find_dates, range_of  # dateparser is slow to import

    words = words_of(text)
    found: dict[str, str] = {}
    for term, word in zip(to_terms(words), words, strict=True):
        found.setdefault(term, word)
    spoken = languages(words)
    left_out = {name: of_language(language) for name, language in spoken.items() if tag(language)}
    said = {t: w for t, w in found.items() if t not in stop_terms() and w not in left_out.get(script(w), ())}
    said = said or found  # "who am I?" has nothing else
    if len(said) > WORDS:
        said = dict([*list(said.items())[: WORDS // 2], *list(said.items())[-WORDS // 2 :]])
    mentions = find_dates(text, asked_at)
    span = range_of(text, mentions)
    dated = {word for mention in mentions for word in words_of(mention.phrase)}
    rest = {term for term, word in said.items() if word not in dated}
    return Query(
        terms=frozenset(found),
        content=tuple(said.values()),
        vector=vector,
        span=None if span is None else (to_micros(span[0]), to_micros(span[1])),
        asks_when=asks_when(text),
        asks_number=_MANY.search(text) is not None,
        says_i=ME.search(text) is not None,
        says_you=_YOU.search(text) is not None,
        asks=_ASKS.search(text) is not None,
        language=max(letters := spoken_in(words), key=lambda name: letters[name], default="en"),
        fluency=fluency,
        remarks=set(spoken.values()) <= {"en"} and is_remark(text, words),
        said=tuple(words),
        only_time=span is not None and rest <= _ANYTHING,
        plans=span is not None and span[1] > asked_at and _PLANS.search(text) is not None and not _DID.search(text),
    )
