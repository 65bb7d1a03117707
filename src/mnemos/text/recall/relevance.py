"""Relevance: the probability that a hit answers, and that any hit does, from the evidence for it.

Two logistic regressions over `evidence` (Platt, 1999), fitted by `benchmarks/fit/relevance.py` on questions that have an
answer in a space and on questions that have none there. Where there are no vectors those fitted on words alone are used.
A search is `answerable` where its confidence is one half or more, or as a closer look says. `context` shows nothing only below
`silent` of `relevance.json`, which is lower: to lose evidence is worse than to show what does not help. It never is silent
where a remark or a read fact answers, where a hit replaced a text with all words of the question, where one is of the day or
week that is asked for, where a question of another language finds English, or where there are fewer than five hits; and,
unless it looked closer, where a hit has all names of the question. "What happened on 4 May?" is answered by whatever is of
that day.

Where a search is doubtful `context` and `answerable` look closer at short hits, and decide by that: see `closer`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import Hit
from mnemos.index.language import is_english
from mnemos.index.terms import terms, to_terms, words_of
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.evidence import FEATURES, WORD_FEATURES, Floats, evidence
from mnemos.text.recall.known import WHY as KNOWN
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import in_span
from mnemos.text.recall.telling import READ

ANSWERABLE = 0.5  # confidence from which an answer is more likely there than not
ENOUGH = 5  # hits below which context shows all: so little costs nothing
SHORT = 7 * 24 * 3_600_000_000  # microseconds: what was told in a time that is named so closely bears on the question
SAID = 0.999  # share of the names of a question that are all of them
LOOKED_AT = 3  # first hits that a closer look is taken at
FIRST = 10  # hits that are judged together: what is behind them tells nothing about the whole


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic regression over the features of `FEATURES`."""

    weights: NDArray[np.float32]  # (F,)
    bias: float

    def __call__(self, table: Floats) -> Floats:
        """Return the probability of each row, (n,)."""
        logits = np.clip(table @ self.weights + np.float32(self.bias), -30, 30)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The hits with their relevance, and the confidence that one of them answers."""

    hits: list[tuple[int, Hit]]  # (row key, hit)
    confidence: float
    answerable: bool
    silent: bool  # whether context shows nothing
    evidence: Floats  # (k, F) what this was judged by
    doubtful: bool = False  # whether context may show nothing at all, if a closer look finds no answer
    question: str = ""
    first: tuple[
        str, ...
    ] = ()  # the texts of the first hits, whatever was left out since; none where evidence lacks some


@cache
def models(name: str) -> Mapping[str, Logistic]:
    """Return the regressions "hit" and "any" of `name`: "vectors" or "words"."""
    data = json.loads(files(__package__).joinpath("relevance.json").read_text(encoding="utf-8"))
    kept = FEATURES if name == "vectors" else WORD_FEATURES
    return {
        what: Logistic(
            np.array([m["weights"].get(f, 0.0) if f in kept else 0.0 for f in FEATURES], np.float32), m["bias"]
        )
        for what, m in data[name].items()
    }


@cache
def silent_below() -> float:
    """Return the confidence below which context shows nothing."""
    data = json.loads(files(__package__).joinpath("relevance.json").read_text(encoding="utf-8"))
    return float(data["silent"])


def judge(corpus: Corpus, query: Query, question: str, hits: Sequence[tuple[int, Hit]]) -> Judgement:
    """Return hits, best first, with their relevance. About 0.3 ms for ten.

    A hit whose row is not in the corpus, as one that was written in the meantime, has the relevance 0.
    """
    at = corpus.positions_of(np.array([key for key, _ in hits], dtype=np.int64))
    there = np.flatnonzero(at >= 0)
    if not len(there):
        return unknown(hits)
    table = evidence(corpus, query, question, at[there])
    by = models("vectors" if table[0, FEATURES.index("vectors")] else "words")
    found = np.zeros(len(hits), dtype=np.float32)
    found[there] = by["hit"](table)
    confidence = float(by["any"](summary(table)[None])[0])
    timely = query.span is not None and bool(in_span(corpus, query.span)[at[there[:FIRST]]].any())
    if timely and query.only_time:
        confidence = max(confidence, ANSWERABLE)
    rated = [(key, replace(hit, relevance=round(float(p), 4))) for (key, hit), p in zip(hits, found, strict=True)]
    stated = KNOWN in hits[0][1].why  # a fact that the rules read in the question and in the text
    timely &= query.span is not None and (query.only_time or query.span[1] - query.span[0] <= SHORT)
    sure = query.remarks or stated or timely or replaces(query, hits)
    doubtful = not (sure or len(hits) < ENOUGH or crosses(table, hits[0][1]))
    silent = doubtful and confidence < silent_below() and not names_all(summary(table))
    first = tuple(hit.cube.text for _, hit in hits[:LOOKED_AT]) if len(there) == len(hits) else ()
    return Judgement(rated, round(confidence, 4), confidence >= ANSWERABLE, silent, table, doubtful, question, first)


def names_all(best: Floats) -> bool:
    """Tell whether a hit has all names of the question: it is about whom is asked for, so that it is shown in any case."""
    return bool(best[FEATURES.index("names")] > SAID)


def crosses(table: Floats, first: Hit) -> bool:
    """Tell whether a question is in another language than an English text: its words say nothing of what is there."""
    return not table[0, FEATURES.index("english")] and is_english(words_of(first.cube.text[:READ]))


def replaces(query: Query, hits: Sequence[tuple[int, Hit]]) -> bool:
    """Tell whether one of the first hits replaced a text that has all words of the question. O(words behind them)."""
    asked = frozenset(to_terms(query.content))
    return bool(asked) and any(asked <= set(terms(old.text)) for _, hit in hits[:FIRST] for old in hit.earlier)


def unknown(hits: Sequence[tuple[int, Hit]]) -> Judgement:
    """Return the judgement of hits that nothing is known of, and of none."""
    rated = [(key, replace(hit, relevance=0.0)) for key, hit in hits]
    return Judgement(rated, 0.0, False, True, np.zeros((0, len(FEATURES)), dtype=np.float32))


def summary(table: Floats) -> Floats:
    """Return the features of a whole search, (F,): the largest of the first ten hits.

    The largest rank and number of rivals only count the hits. They are set to those of ten: a search is as sure of the
    same answer in a space of one text, or with a small `k`.
    """
    best: Floats = table[:FIRST].max(axis=0)
    best[FEATURES.index("rank")], best[FEATURES.index("rivals")] = np.log1p(FIRST - 1), np.log1p(FIRST)
    return best
