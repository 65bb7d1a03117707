"""Order among memories that speak of the same: the asked day, one's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemos.cube import Hit, MemCube
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.doubt import doubted
from mnemos.reason.patterns import RELATION
from mnemos.reason.quoted import own_words
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.repeats import Span, within
from mnemos.text.update.voices import is_own, stored_trust

SHORT = 10  # content terms of a statement at most: what says more is about more
LONG = 30  # content terms from which on a text by others may answer what one's own words do not
NEAR = 0.55  # cosine share of one's own words, relative to that of the words of others
_SELF = re.compile(r"\b(?:i|my|me|we|our|mine|i'm|i\u2019m)\b", re.IGNORECASE)
_OF_OTHERS = re.compile(rf"\b(?:my|our) (?:{RELATION})\b", re.IGNORECASE)
TITLES = frozenset({"mr", "mrs", "ms", "dr", "prof", "st"})
_LOOKED_AT = 10  # hits from the top among which another one is looked for


@register("promote-own", unmeasured="`mnemos bench statements` measures it together with reconcile")
@dataclass(frozen=True, slots=True)
class PromoteOwn:
    """Move what somebody says of himself before the first hit, where that is another's word about him (ours).

    A page, a mail or an assistant's draft in the first person does not answer "Where do I live?"; nor does Bo's claim
    about Ana come before what Ana said. Costs a few microseconds where the first hit is somebody's own words.
    """

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first `k` hits in the new order."""
        if len(hits) < 2:
            return list(hits[:k])
        question, rules = asked.text, stored_trust(store)
        first, words = hits[0][1], set(re.findall(r"\w+", question.casefold()))
        named = {hit.cube.speaker for _, hit in hits[:_LOOKED_AT] if _named(hit.cube.speaker, words)}
        outside = not _speaks(first.cube, rules)
        if not outside and (not named or first.cube.speaker in named):
            return list(hits[:k])
        looked_at = enumerate(hits[:_LOOKED_AT])
        own = [
            (i, h)
            for i, (_, h) in looked_at
            if (_speaks(h.cube, rules) or (h.cube.source == first.cube.source and h.cube.speaker in named))
            and _tells_of_himself(h.cube.text)
        ]  # of several people in one source, as in a chat that was imported, each is as good as the other
        speakers = {hit.cube.speaker for _, hit in own}
        about = named or (speakers if len(speakers) == 1 and _SELF.search(question) else set())
        if not (outside and _SELF.search(first.cube.text)) and not any(_tells_of(first.cube.text, s) for s in about):
            return list(hits[:k])
        said = _content(first.cube.text)
        answered = _content(question) & said if len(said) > LONG else frozenset()
        for i, hit in own:
            near = hit.why.get("cosine", 0.0) >= NEAR * first.why.get("cosine", 0.0)
            if hit.cube.speaker in about and near and answered <= _content(hit.cube.text):
                return [hits[i], *hits[:i], *hits[i + 1 :]][:k]
        return list(hits[:k])


def answers_for_himself(cube: MemCube, question: str) -> bool:
    """Tell whether a cube asserts something of its speaker, with half of the words of a question or more."""
    if not _SELF.search(_OF_OTHERS.sub("", cube.text)) or not _tells_of_himself(cube.text):
        return False
    asked = _content(question) - _content(cube.speaker or "")
    return 2 * len(asked & _content(cube.text)) >= max(len(asked), 1)


def _tells_of_himself(text: str) -> bool:
    return _SELF.search(text) is not None and not doubted(text, 0, len(text))


def of_the_day(hits: Sequence[tuple[int, Hit]], span: Span, *, alone: bool = False) -> list[tuple[int, Hit]]:
    """Return the hits, one of the asked time before a first one of another time that says much the same.

    With `alone`, where nothing but a time is asked for, all that are of it, or mention it, stand before the others.
    """
    if alone:
        return sorted(hits, key=lambda hit: not ("time" in hit[1].why or within(hit[1].cube, span)))
    if len(hits) < 2 or within(hits[0][1].cube, span):
        return list(hits)
    first = _content(hits[0][1].cube.text)
    for i, (_, hit) in enumerate(hits):
        if within(hit.cube, span):
            own = _content(hit.cube.text)
            if max(len(first), len(own)) <= SHORT and 2 * len(first & own) >= min(len(first), len(own)):
                return [hits[i], *hits[:i], *hits[i + 1 :]]
    return list(hits)


def _speaks(cube: MemCube, rules: Mapping[str, int]) -> bool:
    """Tell whether a cube has its speaker's own words, and more of them than words that he quotes."""
    return is_own(cube, rules) and 2 * len("".join(own_words(cube.text).split())) > len("".join(cube.text.split()))


def _content(text: str) -> frozenset[str]:
    return frozenset(terms(text[:1_000])) - stop_terms() - TITLES


def _named(who: str | None, words: set[str]) -> bool:
    return who is not None and not words.isdisjoint(re.findall(r"\w+", who.casefold()))


def _tells_of(text: str, who: str | None) -> bool:
    """Tell whether a text says something of somebody, rather than to him: "Ana lives in Oslo", not "Hi Ana!"."""
    return who is not None and re.search(rf"\b{re.escape(who.split()[0])}(?:['\u2019]s\b|\s[a-z])", text) is not None
