"""Who does what: of hits that say who stands in, owns, reviews, leads or does something, the one that holds now first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mnemos.cube import Hit
from mnemos.index.function_words import of_language
from mnemos.index.language import languages
from mnemos.index.terms import stop_terms, to_terms, words_of
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.many import USUAL
from mnemos.text.recall.newest import asks_now, in_front

LOOKED_AT = 10  # hits from the top among which such a statement is looked for
MOST = 16  # words of a question: longer ones ask for more than who
STAND_IN = "rolestandin"
# Ways to say the same: each is one word from then on. English and German; other words stand for themselves.
ROLES = {
    STAND_IN: (
        r"(?:stand(?:s|ing)?|stood|fill(?:s|ing|ed)?|step(?:s|ping|ped)?|sit(?:s|ting)?) in for|cover(?:s|ing|ed)? for"
        r"|(?:deputi[sz]|substitut)(?:e|es|ing|ed) for|sub(?:s|bing)? for|stand-in|substitute|replacement"
        r"|vertritt|vertreten|vertretung|stellvertreter(?:in)?|vertreter(?:in)?"
    ),
    "roleowner": (
        r"own(?:s|er|ers|ed|ing)?|responsib(?:le|ility)|in charge|maintain(?:s|ed|ing|er)?|look(?:s|ing|ed)? after"
        r"|tak(?:e|es|en|ing) care|took care|tak(?:e|es|en|ing) over|took over|handl(?:e|es|ed|ing)|handed over to|belongs? to"
        r"|verantwortlich\w*|zuständig|k\u00fcmmer[nt]|betreut|\u00fcbernimmt|\u00fcbernommen"
    ),
    "rolereview": r"review(?:s|er|ers|ed|ing)?|approv(?:e|es|ed|ing|er)|sign(?:s|ed|ing)? off",
    "rolelead": r"lead(?:s|er|ing)?|led|head(?:s|ed|ing)|leitet|leiter(?:in)?|captain(?:s)?",
}  # fmt: skip
_ROLE = re.compile("|".join(rf"(?P<{name}>\b(?:{ways})\b)" for name, ways in ROLES.items()), re.IGNORECASE)
_WHO = re.compile(
    r"^\W*(?:(?:and|so|und|also)\s+)?(?:who|whom|who's|who\u2019s|wer|wen)\b(?!\s+(?:else|am)\b)", re.IGNORECASE
)
_MINE = re.compile(r"\b(?:i|me|my|mine|you|your|yours|ich|mein\w*|mich|mir|du|dein\w*)\b", re.IGNORECASE)
_WHEN = re.compile(r",?\s+(?:when|while|if|whenever|wenn|w\u00e4hrend|solange)\s.*$", re.IGNORECASE)
_ALSO = "now currently today moment still person done do jetzt gerade heute derzeit aktuell"
_NOW = frozenset(to_terms(words_of(_ALSO)))
_UNSURE = re.compile(
    r"\b(?:who\w*|whether|if|any(?:body|one)|some(?:body|one)|nobody|no one|not|never|no longer|used to|former(?:ly)?|was|were"
    r"|had|would|did|might|wer|wen|wem|ob|jemand|niemand|nicht|kein\w*|war|waren|hatte|fr\u00fcher)\b|n['\u2019]t\b|\?\s*$",
    re.IGNORECASE,
)
_DONE = re.compile(r"\b(?:stood|sat|took|led|\w{2,}ed)\b|\blast (?:year|month|week|summer|winter)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bMrs\.)\s+|;\s+")
_NAMED = re.compile(r"\b[^\W\d_a-z][\w'\u2019-]+|\b(?:I|ich|we|wir)\b")
_OF_THEM = re.compile(
    r"\b(?:for|of|after|over) (?:him|her|them|it)\b|\b(?:vertritt|betreut) (?:ihn|sie)\b", re.IGNORECASE
)
_OF = re.compile(r"['\u2019]s?\b|\b(?:of|von|f\u00fcr|vom)\b", re.IGNORECASE)  # of whom it is told, in any order


@dataclass(frozen=True, slots=True)
class Sought:
    """What a question asks who does."""

    terms: frozenset[str]  # all that a statement has to say
    after: frozenset[str]  # whom somebody stands in for: it comes after the verb


@register("promote-role")
@dataclass(frozen=True, slots=True)
class PromoteRole:
    """Move the newest hit that says who does what was asked before the first one (ours): rules for English and German.

    "Who stands in for Ivo?" is answered by "Lars covers for Ivo" and not by "Ivo asked who would stand in for him". A sentence
    states it if it has all words of the question (ways to say the same are one word) and a name that the question lacks, and
    is no question, negation, condition or past. Questions about the past, and about their asker, keep their order. 20 us a hit.
    """

    least: ClassVar[int] = USUAL

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first `k` hits, the one that states it last in front at the score of the best."""
        past = filter.superseded or filter.true_at is not None
        sought = None if past else sought_by(asked.text)
        if sought is None:
            return list(hits[:k])
        found = [(hit.cube.at, -i) for i, (_, hit) in enumerate(hits[:LOOKED_AT]) if states(sought, hit.cube.text)]
        if not found or not (sought.terms.intersection(ROLES) or (hits[0][1].cube.at, 0) in found):
            return list(hits[:k])  # where no way to say it is known, a first hit in other words may say it too
        place = -max(found)[1]
        return in_front(hits, place)[:k] if place else list(hits[:k])


def sought_by(question: str) -> Sought | None:
    """Return what a question asks who does; None if it asks for something else, or for the past."""
    asked = _WHEN.sub("", question)
    if (
        not _WHO.match(asked)
        or _MINE.search(asked)
        or len(asked.split()) > MOST
        or not asks_now(asked)
        or _DONE.search(asked)
    ):
        return None
    foreign = {
        term for language in languages(words_of(asked)).values() for term in to_terms(list(of_language(language)))
    }
    said = [term for term in _content(asked) if term not in foreign]
    terms = frozenset(said)
    after = said[said.index(STAND_IN) + 1 :] if STAND_IN in terms else ()
    return Sought(terms, frozenset(after)) if terms else None


def states(sought: Sought, text: str) -> bool:
    """Tell whether a sentence of a text says who does it."""
    whole = frozenset(_content(text))
    if not sought.terms <= whole:
        return False
    return any(_says(sought, sentence) for sentence in _SENTENCE.split(text))


def _says(sought: Sought, sentence: str) -> bool:
    if _UNSURE.search(sentence):
        return False
    said = _content(sentence)
    role = sought.terms.intersection(ROLES)
    of_them = bool(role) and role <= set(said) and bool(_OF_THEM.search(sentence))  # "she is away; Lars covers for her"
    if not of_them:
        if not sought.terms <= set(said):
            return False
        if sought.after and not _OF.search(sentence) and not sought.after <= set(said[said.index(STAND_IN) :]):
            return False  # "Ivo covers for Lars" does not say who covers for Ivo
    names = {term for name in _NAMED.findall(sentence) for term in to_terms(words_of(name))}
    return bool(names - sought.terms - (stop_terms() - {"i", "we"}))


def _content(text: str) -> list[str]:
    """Return the terms of a text without function words; ways to say that somebody has a role are one term."""
    marked = _ROLE.sub(lambda found: f" {found.lastgroup} ", text)
    found = [word if word in ROLES else term for word in words_of(marked) for term in to_terms([word])]
    return [term for term in found if term not in stop_terms() and term not in _NOW]
