"""Checks of a model's answers: their shapes, and that the texts support what they say."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from mnemos.facts import Fact
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.base import Verdict

NAME, VALUE = 100, 500  # characters
_UNSEEN, _JOINERS = frozenset({"Cf", "Cs", "Co"}), "\u200c\u200d"  # Persian and emoji need joiners
_I = frozenset({"i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves"})
_SPEAKER = frozenset({"user", "the user", "speaker", "the speaker"})
_MARKUP = re.compile(r"<[\s/<\u200c\u200d]*(?=memory)", re.IGNORECASE)  # the frame around recalled text


# The shapes of answers. They are plain data classes: the package does not depend on pydantic, which reads them.
@dataclass
class Said:
    """A fact that a model found in a text, and the words that state it."""

    subject: str
    attribute: str
    value: str
    exclusive: bool
    negated: bool
    quote: str


@dataclass
class Facts:
    """The answer to facts."""

    facts: list[Said]


@dataclass
class Comparison:
    """The answer to compare."""

    verdict: Verdict


@dataclass
class Text:
    """The answer to summarise and title."""

    text: str


@dataclass
class Insights:
    """The answer to reflect."""

    insights: list[str]


def supported(found: list[Said], text: str, speaker: str | None) -> list[Fact]:
    """Return the facts that the text supports, in its order."""
    who, facts, at = _normal(speaker or "") or "user", [], 0
    known = {*terms(text), *terms(who)}
    for fact in found:
        subject, attribute, value = _normal(fact.subject), _normal(fact.attribute), clean(fact.value)
        if subject in _I or (subject in _SPEAKER and not known.issuperset(terms(subject))):
            subject = who
        subject = re.sub(r"^(?:my|our)\b", f"{who}'s", subject)
        quote = fact.quote.strip()
        start = text.find(quote, at)
        start = text.find(quote) if start < 0 else start
        if start < 0 or not quote or not content(subject) & known or not content(value) & set(terms(quote)):
            continue
        if not attribute or max(len(subject), len(attribute)) > NAME or len(value) > VALUE:
            continue
        at = start
        facts.append(Fact(subject, attribute, value, fact.exclusive, fact.negated, start, start + len(quote)))
    return sorted(dict.fromkeys(facts), key=lambda fact: fact.start)


def content(text: str) -> set[str]:
    """Return the terms except function words; all terms if none is left, since "IT" and "May" are values too."""
    every = set(terms(text))
    return every - stop_terms() or every


def clean(text: str) -> str:
    """Return a text on one line, without control characters and without the markup that frames recalled text."""
    kept = (
        " " if unicodedata.category(c) == "Cc" else c
        for c in text
        if unicodedata.category(c) not in _UNSEEN or c in _JOINERS
    )
    return " ".join(_MARKUP.sub("", "".join(kept)).split())


def _normal(text: str) -> str:
    return clean(text).casefold()


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters, cut between words where possible."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    return head.rpartition(" ")[0] or head


def filled(text: str) -> str:
    """Return the text. Raises ValueError, as every malformed answer does, if it is empty."""
    if not text:
        raise ValueError("an empty text")
    return text
