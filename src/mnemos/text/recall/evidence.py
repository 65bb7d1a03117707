"""Evidence: what speaks for a hit being the answer, measured apart from the ranking and comparable between spaces.

A score ranks the cubes of one question; it does not tell whether any of them answers. These features do, as far as words
and vectors can: how much of the question, by weight, a text and the turns around it cover; whether the names in the
question are known here at all; how far a vector stands out from those of other texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.index.language import is_english
from mnemos.index.lexical import idf
from mnemos.index.terms import to_terms, words_of
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import term_posting

Floats = NDArray[np.float32]
SAMPLE = 128  # vectors that tell how far a cosine stands out
OTHERS, ONE = (
    200,
    1,
)  # texts, and those with a word, that are added: in a small space no word is common, and none unheard of
AROUND = (-2, -1, 1, 2)  # turns before and after a hit that belong to it
VECTOR_FEATURES = (
    "stands out", "stands out around", "best stands out", "behind the best", "above the next", "vectors",
)  # fmt: skip
WORD_FEATURES = (
    "coverage", "coverage around", "rarest", "rarest around", "names", "names around", "of best coverage",
    "best coverage", "best coverage around", "rivals", "speaker", "in time", "number", "length", "rank", "unknown",
    "unknown name", "has names", "words", "size", "english", "asks when", "is question",
)  # fmt: skip
FEATURES = (*VECTOR_FEATURES, *WORD_FEATURES)
ALIKE = 0.05  # difference of coverage between hits of which one is as good as the other
NAME = re.compile(r"(?<![.?!]\s)(?<!^)\b[A-Z][\w'-]+")  # in a question: a capital that begins no sentence


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the question: its weight in the space, the positions that have it, in order, and what it may be."""

    term: str
    weight: float
    positions: NDArray[np.int32]
    is_name: bool


def evidence(corpus: Corpus, query: Query, question: str, positions: NDArray[np.int64]) -> Floats:
    """Return the features of the cubes at `positions`, best first, (k, F). O(k), and O(df) for each word."""
    layout, k = corpus.layout(), len(positions)
    near = np.stack([layout.neighbours[d][positions] for d in AROUND])  # (4, k); -1 is none
    found: dict[str, NDArray[np.floating] | float] = {
        "number": corpus.number[positions] * np.float32(query.asks_number),
        "length": layout.log_length[positions],
        "rank": np.log1p(np.arange(k)),
        "size": float(np.log1p(corpus.count)),
        "english": float(is_english(words_of(question))),
        "asks when": float(query.asks_when),
        "is question": corpus.question[positions],
    }
    if query.span is not None:
        at = corpus.at[positions]
        found["in time"] = ((at >= query.span[0]) & (at < query.span[1])).astype(np.float32)
    found |= _words(corpus, _of_question(corpus, query, question), positions, near)
    found |= _vectors(corpus, query, positions, near)
    table = np.zeros((k, len(FEATURES)), dtype=np.float32)
    for column, name in enumerate(FEATURES):
        table[:, column] = found.get(name, 0.0)
    return table


def _of_question(corpus: Corpus, query: Query, question: str) -> list[Word]:
    layout, named = corpus.layout(), {w for name in NAME.findall(question) for w in words_of(name)}
    count = corpus.count
    found = []
    for word, term in zip(query.content, to_terms(query.content), strict=True):
        positions = np.sort(term_posting(corpus, layout, word).positions)
        found.append(Word(term, idf(count + OTHERS, len(positions) + ONE), positions, word in named))
    return found


def _words(
    corpus: Corpus, words: Sequence[Word], positions: NDArray[np.int64], near: NDArray[np.integer]
) -> dict[str, NDArray[np.floating] | float]:
    """Return how much of the question the words of each hit cover; what its speaker is called counts as its word."""
    k, total = len(positions), sum(w.weight for w in words) or 1e-9
    names = sum(w.weight for w in words if w.is_name) or 1e-9
    rarest = max(words, key=lambda w: w.weight, default=None)
    speakers = [corpus.speaker_terms[s] if s >= 0 else frozenset[str]() for s in corpus.speaker[positions]]
    here, around, named, named_around = (np.zeros(k, dtype=np.float32) for _ in range(4))
    of_rarest = of_rarest_around = spoken = np.zeros(k, dtype=np.float32)
    unknown, unknown_name = 0.0, 0.0
    for word in words:
        by = np.array([word.term in terms for terms in speakers])
        inside = by | _has(word.positions, positions)
        beside = inside | _has(word.positions, near).any(axis=0)
        here += inside * np.float32(word.weight / total)
        around += beside * np.float32(word.weight / total)
        spoken = np.maximum(spoken, by)
        if word.is_name:
            named += inside * np.float32(word.weight / names)
            named_around += beside * np.float32(word.weight / names)
        if word is rarest:
            of_rarest, of_rarest_around = inside.astype(np.float32), beside.astype(np.float32)
        if not len(word.positions) and not by.any():
            unknown += word.weight / total
            unknown_name = max(unknown_name, float(word.is_name))
    return {
        "coverage": here, "coverage around": around, "names": named, "names around": named_around,
        "rarest": of_rarest, "rarest around": of_rarest_around, "speaker": spoken, "unknown": unknown,
        "unknown name": unknown_name, "has names": float(names > 1e-9), "words": float(np.log1p(len(words))),
        "best coverage": float(here.max()), "best coverage around": float(around.max()),
        "of best coverage": here / max(float(here.max()), 1e-6),
        "rivals": np.log1p((here[None, :] >= here[:, None] - ALIKE).sum(axis=1)),
    }  # fmt: skip


def _vectors(
    corpus: Corpus, query: Query, positions: NDArray[np.int64], near: NDArray[np.integer]
) -> dict[str, NDArray[np.floating] | float]:
    """Return how near each hit and its neighbours are, in standard deviations above the texts of the space.

    Cosines themselves do not count: their scale differs from embedder to embedder.
    """
    if query.vector is None or not corpus.vectors.present[positions].any():
        return {}
    rows, vector = corpus.vectors.rows, np.asarray(query.vector, dtype=np.float32)
    sample = np.flatnonzero(corpus.alive)[:: max(1, corpus.count // SAMPLE)]
    others = np.vecdot(rows[sample[corpus.vectors.present[sample]]], vector)
    mean, spread = corpus.spread(vector) or (float(others.mean()), float(others.std()))
    spread = max(spread, 0.02)
    cosine = np.vecdot(rows[positions], vector)
    beside = np.where(near >= 0, np.vecdot(rows[near], vector), -1).max(axis=0)
    best = np.maximum(cosine, beside)
    top = np.sort(cosine)[::-1]
    return {
        "stands out": (cosine - mean) / spread,
        "stands out around": (best - mean) / spread, "best stands out": float(top[0] - mean) / spread,
        "behind the best": (top[0] - cosine) / spread,
        "above the next": (cosine - (top[1] if len(top) > 1 else mean)) / spread, "vectors": 1.0,
    }  # fmt: skip


def _has(positions: NDArray[np.int32], wanted: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell which of the wanted positions, of any shape, are among sorted ones."""
    if not len(positions):
        return np.zeros(wanted.shape, dtype=bool)
    found = np.minimum(np.searchsorted(positions, wanted), len(positions) - 1)
    return np.asarray(positions[found] == wanted, dtype=bool)
