"""RuleReasoner: judgements by patterns and counting. Deterministic, no model, well below a millisecond a text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from mnemos.reason.base import Fact, Judgement
from mnemos.reason.patterns import KEY_VALUE, PATTERNS, PRONOUNS, UNREAL, VALUE_END, Pattern, tidy_attribute
from mnemos.text.encode.terms import stop_terms, terms

LONGEST = 4_000  # characters of a text that are read for facts; what is longer is a document, not a statement
LONGEST_VALUE = 7  # words
SENTENCE_TERMS = 40  # terms of a sentence in a summary, at most
_END = re.compile(r"(?<=[.!?])[\"'\u2019)]*\s+(?=[\"'(]?[A-Z0-9\u00c0-\u024f])|\n+|(?<=[\u3002\uff01\uff1f])")
_SHORT = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|Inc|Ltd|Jr|Sr|No)\.$")


class RuleReasoner:
    """The default `Reasoner`. It says less than a model would, and never anything that is not in the text."""

    name = "rules"

    def facts(self, text: str, speaker: str | None, at: datetime) -> list[Fact]:
        """Return what a text states, in its order; some 50 us for a chat turn.

        Questions, conditions and wishes state nothing. Where two patterns match the same words, the first one of
        `PATTERNS` wins.
        """
        found: list[Fact] = []
        for begin, sentence in sentences(text[:LONGEST]):
            if sentence.endswith("?") or UNREAL.search(sentence):
                continue
            found += self._facts_of(sentence, begin, speaker)
        return found

    def _facts_of(self, sentence: str, begin: int, speaker: str | None) -> list[Fact]:
        found: list[Fact] = []
        for pattern in PATTERNS:
            for match in pattern.regex.finditer(sentence):
                fact = _to_fact(pattern, match, begin, speaker)
                if fact is not None and all(fact.stop <= f.begin or fact.begin >= f.stop for f in found):
                    found.append(fact)
        line = None if found else KEY_VALUE.match(sentence)
        if line and _is_key(line["attribute"]):
            fact = _to_fact(Pattern(KEY_VALUE, lambda g: tidy_attribute(g["attribute"] or "")), line, begin, speaker)
            found += [fact] if fact else []
        return sorted(found, key=lambda f: f.begin)

    def compare(self, new: Fact, old: Fact) -> Judgement:
        """Judge by the words of the values, stemmed and without function words."""
        a, b = _value_terms(new.value), _value_terms(old.value)
        if new.negated != old.negated:
            if a == b or (new.negated and a <= b) or not a:
                return Judgement("contradicts", "one says that it is so, the other that it is not")
            return Judgement("compatible", "one denies another value")
        if a == b or a < b:
            return Judgement("same", "the same value" if a == b else "the same value with less detail")
        if a > b and b:
            return Judgement("refines", "the same value with more detail")
        if new.exclusive and old.exclusive and not new.negated:
            return Judgement("contradicts", "another value of what has one at a time")
        return Judgement("compatible", "several values may hold")

    def summarise(self, texts: Sequence[str], sentences: int) -> str:
        """Return the sentences that share most with all others, in their order (extractive).

        A sentence scores the mean tf-idf weight of its content terms over all texts, times a reward for stating
        a fact; one that repeats the terms of a chosen one is passed over. Cost: O(terms).
        """
        return " ".join(summarise(texts, sentences))

    def title(self, texts: Sequence[str]) -> str:
        """Return the three words that stand out most in texts."""
        counts: Counter[str] = Counter()
        shown: dict[str, str] = {}
        for text in texts:
            for word in re.findall(r"[^\W\d_][\w'\u2019-]{2,30}", text[:LONGEST]):
                for term in terms(word)[:1]:
                    if term not in stop_terms() and term not in filler_terms():
                        counts[term] += 2 if word[0].isupper() and word.lower() not in PRONOUNS else 1
                        shown.setdefault(term, word)
        best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
        return ", ".join(shown[term] for term, _ in best)

    def reflect(self, texts: Sequence[str]) -> list[str]:
        """Return nothing: rules draw no conclusions beyond what profiles count."""
        return []


def sentences(text: str) -> list[tuple[int, str]]:
    """Return (begin, sentence) of the sentences of a text. A line break ends one too."""
    found: list[tuple[int, str]] = []
    start = 0
    for match in [*_END.finditer(text), None]:
        stop = len(text) if match is None else match.start()
        if match is not None and _SHORT.search(text[start:stop]):
            continue
        if piece := text[start:stop].strip():
            found.append((text.index(piece, start), piece))
        start = len(text) if match is None else match.end()
    return found


def _to_fact(pattern: Pattern, match: re.Match[str], begin: int, speaker: str | None) -> Fact | None:
    groups: Mapping[str, str | None] = match.groupdict()
    subject = _subject(groups, speaker)
    value = pattern.value or _short(VALUE_END.sub("", groups.get("value") or "").strip(" \t\"'\u2019*"))
    if subject is None or not value or (pattern.value is None and not _value_terms(value)):
        return None
    if "thing" in groups and not (VALUE_END.sub("", groups["thing"] or "").strip()):
        return None
    if "thing" in groups:
        groups = {**groups, "thing": VALUE_END.sub("", groups["thing"] or "").strip()}
    attribute = pattern.attribute if isinstance(pattern.attribute, str) else pattern.attribute(groups)
    stop = match.end()
    if pattern.value is None and "thing" not in groups:
        stop = match.start("value") + (groups["value"] or "").find(value) + len(value)
    return Fact(subject, attribute, value, pattern.exclusive, pattern.negated, begin + match.start(), begin + stop)


def _short(value: str) -> str:
    """Cut a value that runs on: "Porto and Rex the dog chases gulls" is "Porto"."""
    first, _, rest = value.partition(" and ")
    if len(rest.split()) > 2:
        value = first
    return value if len(value.split()) <= LONGEST_VALUE else " ".join(value.split(" ")[:LONGEST_VALUE])


def _subject(groups: Mapping[str, str | None], speaker: str | None) -> str | None:
    """Return whom a match is about: a name, "ana's sister", or the thing ("the website")."""
    me = (speaker or "user").strip().lower()
    if groups.get("kin_name"):
        return str(groups["kin_name"]).lower()
    if groups.get("kin"):
        return f"{me}'s {groups['kin']}".lower()
    if groups.get("name"):
        name = str(groups["name"])
        first = name.split()[0].lower()
        return None if first in PRONOUNS or (name.isupper() and len(name) > 5) else name.lower()
    if groups.get("the"):
        return f"the {(groups.get('whole') or '').strip()}".strip().lower()
    return me


def _value_terms(value: str) -> frozenset[str]:
    found = frozenset(terms(value))
    return found - stop_terms() or found


def _is_key(words: str) -> bool:
    return len(words.split()) <= 4 and words.split()[0].lower() not in PRONOUNS and not words.lower().startswith("http")


@cache
def filler_terms() -> frozenset[str]:
    """Return the terms of words that say little in a chat, beside function words."""
    return frozenset(
        terms(
            "yes yeah okay thanks thank great good nice really like know think want would time thing things lot day one get "
            "got big news update fyi finally recently actually currently move just going way make much well people always "
            "feel love hope glad sounds wow hey sure been take let see even still new"
        )
    )


def summarise(texts: Sequence[str], count: int) -> list[str]:
    """Return the `count` sentences that say most of what the texts say; see `RuleReasoner.summarise`."""
    rows = [(s, terms(s)) for text in texts for _, s in sentences(text[:LONGEST])]
    rows = [(s, [t for t in ts if t not in stop_terms() and t not in filler_terms()]) for s, ts in rows]
    spread = Counter(t for _, ts in rows for t in set(ts))
    weight = {t: (1 + math.log(n)) * math.log(1 + len(rows) / n) for t, n in spread.items()}
    scores = []
    for i, (sentence, ts) in enumerate(rows):
        some = ts[:SENTENCE_TERMS]
        if sentence.endswith("?") or len(some) < 2:
            continue
        scores.append((sum(weight[t] for t in some) / (len(some) + 4), -i))
    chosen: list[int] = []
    seen: set[str] = set()
    for _, minus in sorted(scores, reverse=True):
        own = set(rows[-minus][1])
        if len(chosen) < count and len(own & seen) <= 0.6 * len(own):
            chosen.append(-minus)
            seen |= own
    return [_shorten(rows[i][0]) for i in sorted(chosen)]


def _shorten(sentence: str, longest: int = 300) -> str:
    return sentence if len(sentence) <= longest else sentence[:longest].rsplit(" ", 1)[0] + " ..."
