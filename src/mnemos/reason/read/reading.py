"""Readings: what a text says of whom, as the heads read it, each with how likely it is right."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mnemos.embed.base import Tokens
from mnemos.facts import Reading
from mnemos.reason.read.attributes import Attributes
from mnemos.reason.read.heads import Heads, best_tags, heads, runs, unit_states
from mnemos.reason.read.words import Floats, Layout, Words, words_of

LEAST = 0.3  # confidence below which nothing is said
OTHERS = 0.5  # share from which a value is another's
BESIDE = 3  # words on both sides of a value that say what it is about
MOST = 12  # readings of a text
_EDGE = " \t\n.,;:!?\"'()[]\u2019\u201c\u201d"
_NAME_AFTER = re.compile(r",?\s([A-Z][\w-]+)")
_NOUN = re.compile(r"\s[\w-]+(?:\s(?:friend|law|half|fella|lady|man)\b)?")
_OPEN = frozenset(
    [
        "my",
        "our",
        "the",
        "mein",
        "meine",
        "unser",
        "unsere",
        "mi",
        "mis",
        "mon",
        "ma",
        "mes",
        "meu",
        "minha",
        "mio",
        "mia",
    ]
)
_EMPTY = frozenset(
    [
        "a",
        "an",
        "the",
        "my",
        "our",
        "his",
        "her",
        "on",
        "in",
        "at",
        "to",
        "of",
        "for",
        "and",
        "or",
        "is",
        "with",
        "it",
        "that",
        "this",
    ]
)
_OWNED = re.compile(r"(?:'s|\u2019s|')$")


def read(
    text: str, tokens: Tokens, attributes: Attributes, model: Heads | None = None, layout: Layout | None = None
) -> list[Reading]:
    """Return what the heads read in the part of a text that the tokens cover, in its order; about 0.5 ms for a chat turn.

    Questions and quotations are not read. Nothing is certain: what has less than `LEAST` confidence is left out. `layout` is
    the text's, which spares finding it again for each window.
    """
    words = words_of(text, tokens, layout)
    return [] if words is None else read_words(text, words, attributes, model or heads())


def read_words(text: str, words: Words, attributes: Attributes, model: Heads, least: float = LEAST) -> list[Reading]:
    """Return what the heads read in the words of a text with at least this confidence; see `read`."""
    hidden = model.hidden(words)
    values, owners = model.tag(hidden)
    value_runs = runs(best_tags(values))
    if not value_runs:
        return []
    owner_runs = runs(best_tags(owners))
    stating = model.stating(hidden)
    found: list[Reading] = []
    for first, last in value_runs:
        if words.cues[first, 4] or words.cues[first, 6]:  # asked, or quoted
            continue
        other, tense, denied = model.of_span(hidden[first:last])
        score = float((1 - values[first:last, 0]).mean()) * stating
        whose = None
        if other > OTHERS:
            whose = _whose(text, words, owner_runs, first)
            score *= other if whose else 1 - other
        else:
            score *= 1 - other
        start, end = _trimmed(text, int(words.spans[first, 0]), int(words.spans[last - 1, 1]))
        sure = model.confidence(score)
        if sure < least or text[start:end].lower() in _EMPTY or start >= end:
            continue
        attribute = attributes.nearest(about(words, first, last))
        found.append(Reading(whose, attribute, start, end, tense, denied > 0.5, round(sure, 3)))
    return sorted(sorted(found, key=lambda r: -r.confidence)[:MOST], key=lambda r: r.start)


def subject(whose: str | None, me: str) -> str:
    """Return the subject of a reading as facts have it: "ana" is `me`, "my sister" is "ana's sister", "Tom" is "tom"."""
    if whose is None:
        return me
    words = whose.split()
    mine = len(words) > 1 and words[0].lower() in _OPEN - {"the"}
    if mine and words[-1][:1].isupper() and len(words) > 2:
        return words[-1].lower()
    return f"{me}'s {' '.join(words[1:])}".lower() if mine else whose.lower()


def joined(parts: Sequence[Reading], more: Sequence[Reading]) -> list[Reading]:
    """Return readings of a text with those of a later window that do not overlap them."""
    return [*parts, *(m for m in more if all(m.end <= p.start or m.start >= p.end for p in parts))]


def about(words: Words, first: int, last: int) -> Floats:
    """Return (2 * D,) what a value is about: its words, and the words around it, each state of length 1."""
    around = words.states[max(0, first - BESIDE) : last + BESIDE].mean(axis=0)
    return unit_states(np.concatenate([words.states[first:last].mean(axis=0), around]))


def _whose(text: str, words: Words, owners: list[tuple[int, int]], first: int) -> str | None:
    """Return the nearest mention before a value, in its sentence if there is one; else the nearest one after it."""
    if not owners:
        return None
    here = words.sentence[first]
    best = min(owners, key=lambda o: (words.sentence[o[0]] != here, o[0] > first, abs(o[0] - first)))
    start, end = int(words.spans[best[0], 0]), int(words.spans[best[1] - 1, 1])
    if (more := _NOUN.match(text, end)) is not None and text[start:end].lower() in _OPEN:
        end = more.end()
    if (named := _NAME_AFTER.match(text, end)) is not None and text[start:end].split()[0].lower() in _OPEN:
        end = named.end()
    return _OWNED.sub("", text[start:end].strip(_EDGE)) or None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in _EDGE:
        start += 1
    while end > start and text[end - 1] in _EDGE:
        end -= 1
    return start, end
