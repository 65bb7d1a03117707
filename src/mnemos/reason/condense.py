"""Extractive summaries and titles by counting: nothing is said that is not in the texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

from mnemos.index.terms import stop_terms, terms
from mnemos.reason.values import PRONOUNS

LONGEST = 4_000  # characters of a text that are read; a longer one is a document, not a statement
SENTENCE_TERMS = 40  # terms of a sentence in a summary, at most
_END = re.compile(r"(?<=[.!?])[\"'\u2019)]*\s+(?=[\"'(]?[A-Z0-9\u00c0-\u024f])|\n+|(?<=[\u3002\uff01\uff1f])")
WIDEST = 12  # characters of an abbreviation and what is before it, at most
_SHORT = re.compile(
    r"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|St|Ste|Mt|Ft|Rev|Hon|Capt|Col|Gen|Sgt|Lt|vs|etc|e\.g|i\.e|cf|approx|ca|Inc|Ltd|Bros|Jr|Sr|No|Nr|"
    r"Dept|Univ|[A-Z])\.$"
)


def sentences(text: str) -> list[tuple[int, str]]:
    """Return (start, sentence) of each sentence of a text. A line break ends a sentence too."""
    found: list[tuple[int, str]] = []
    start = 0
    for match in [*_END.finditer(text), None]:
        end = len(text) if match is None else match.start()
        if match is not None and _SHORT.search(text[max(start, end - WIDEST) : end]):
            continue
        if piece := text[start:end].strip():
            found.append((text.index(piece, start), piece))
        start = len(text) if match is None else match.end()
    return found


def title(texts: Sequence[str]) -> str:
    """Return the three most characteristic words of texts."""
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


@cache
def filler_terms() -> frozenset[str]:
    """Return the terms of words that carry little meaning in a chat, in addition to function words."""
    return frozenset(
        terms(
            "yes yeah okay thanks thank great good nice really like know think want would time thing things lot day one get "
            "got big news update fyi finally recently actually currently move just going way make much well people always "
            "feel love hope glad sounds wow hey sure been take let see even still new"
        )
    )


def summarise(texts: Sequence[str], count: int) -> list[str]:
    """Return the `count` most central sentences of texts; see `RuleReasoner.summarise`."""
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
