"""The owner of a space in a question: whom "Ana" or "the user" means where the user is never called by a name."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mnemos.index.terms import stop_terms, terms
from mnemos.store.base import Facts
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.signals import term_posting

NAME = ("user", "name")  # what the rules read in "My name is Ana"
_WORD = re.compile(r"[^\W\d_]{2,}")
_USER = re.compile(r"(?<!\w)(?:[Tt]he user|[Uu]ser(?=['\u2019]s))(?!\w)")
# "I" has other forms than a name: of its own, of verbs, and after prepositions
_FORMS = (
    (re.compile(r"\bI['\u2019]s?(?!\w)"), "my"),
    (re.compile(r"\b([Dd])oes I\b"), r"\1o I"),
    (re.compile(r"\b([Hh])as I\b"), r"\1ave I"),
    (re.compile(r"\bis I\b"), "am I"),
    (re.compile(r"\bIs I\b"), "Am I"),
    (re.compile(r"\b(about|after|by|for|from|near|of|to|told|with) I\b", re.IGNORECASE), r"\1 me"),
)


def as_owner(question: str, space: str, corpus: Callable[[], Corpus | None], facts: Facts | None) -> str:
    """Return a question about the owner of a space as he would ask it: "Where does Ana live?" as "Where do I live?".

    A space is the memory of one owner. Messages of the role "user" often have no speaker, and then nobody is called Ana,
    while an agent asks for her by her name, or for "the user", who is also the only speaker. A name is the owner's if it
    begins with a capital and is what the user has called himself, or a word of the space's name that no text has; never
    if a speaker has it. Every other question is returned as it is. Costs a lookup of a fact where a name is asked for, and
    O(N) where it may be the owner's.
    """
    asked = [w for w in dict.fromkeys(_WORD.findall(question)) if w[0].isupper() and not _terms(w) <= stop_terms()]
    user = _USER.search(question) is not None
    names = facts.find([NAME]) if asked and facts is not None else ()
    told, of_space = _words(" ".join(name.fact.value for name in names)), _words(space)
    asked = [word for word in asked if word.casefold() in told | of_space]
    if not (asked or user) or (known := corpus()) is None:
        return question
    voices = np.unique(known.speaker[known.alive & ~known.assistant])  # -1: without a name
    if -1 not in voices:
        asked, user = [], user and len(voices) == 1
    mine = [word for word in asked if word.casefold() in told or not _is_said(known, word)]
    patterns = [rf"(?<!\w){re.escape(name)}(?!\w)" for name in mine if not _is_a_speaker(known, name)]
    if user and not _is_said(known, "user") and not _is_a_speaker(known, "user"):
        patterns.append(_USER.pattern)
    if not patterns:
        return question
    either = f"(?:{'|'.join(patterns)})"
    question = re.sub(f"{either}(?: {either})*", "I", question)
    for pattern, form in _FORMS:
        question = pattern.sub(form, question)
    return question[:1].upper() + question[1:]


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _terms(word: str) -> frozenset[str]:
    return frozenset(terms(word))


def _is_a_speaker(corpus: Corpus, name: str) -> bool:
    return any(corpus.speaker_terms[i] & _terms(name) for i in corpus.speakers.values())


def _is_said(corpus: Corpus, name: str) -> bool:
    """Tell whether a text of the space has a name."""
    return len(term_posting(corpus, corpus.layout(), name.casefold()).positions) > 0
