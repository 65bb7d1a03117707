"""The signals: what speaks for each cube, as numbers that mean the same in a small space and in a large one.

Word signals are shares of the question's weight (0: none of its terms, 1: all of them, often); vector signals are
cosines; the others are 0 or 1, or a product of those. None depends on how many cubes there are except through the idf.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnemos.index.lexical import idf, saturate
from mnemos.methods import Paper, method
from mnemos.text.recall.corpus import REACH, Corpus, Layout
from mnemos.text.recall.query import Query

Floats = NDArray[np.float32]
Signals = dict[str, Floats]

LONG = np.float32(np.log1p(40.0))  # from how many terms on (as a logarithm) a message counts as long
VECTOR_SIGNALS = frozenset(
    {"meaning", "meaning_before", "meaning_after", "session_meaning", "session_best_meaning", "answer_meaning"}
)


@method(
    "words",
    form="text",
    operation="recall",
    papers=(Paper("The Probabilistic Relevance Framework: BM25 and Beyond"),),
)
def bm25(corpus: Corpus, query: Query) -> Floats:
    """Return plain BM25 of every cube's text, (N,): the baseline."""
    return _word_signals(corpus, corpus.layout(), query.content, reaches=(0,))["words"]


@method(
    "vectors",
    form="text",
    operation="recall",
    papers=(
        Paper("Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", "1908.10084"),
        Paper(
            "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers",
            "2002.10957",
        ),
    ),
)
def cosines(corpus: Corpus, query: Query) -> Floats:
    """Return the cosine of the question and every cube's vector, (N,): the baseline."""
    if query.vector is None:
        return np.zeros(len(corpus), dtype=np.float32)
    return corpus.vectors.scores(query.vector)


def signals(corpus: Corpus, query: Query) -> Signals:
    """Return every signal for every cube, name to (N,). Cost: O(N) per signal, and O(df) per term.

    Without a query vector the vector signals are left out.
    """
    layout = corpus.layout()
    named = _named_speakers(corpus, query)
    names = frozenset().union(*(corpus.speaker_terms[s] for s in named)) if named else frozenset()
    content = tuple(t for t in query.content if t not in names) or query.content
    found = _word_signals(corpus, layout, content, reaches=(0, 1, REACH))
    words = found["words"]
    found["words_before"] = _shift(words, layout, -1)
    found["words_after"] = _shift(words, layout, 1)
    found["session_best_words"] = _session_max(words, layout)
    asked = _shift(corpus.question, layout, -1)
    found["answer_words"] = asked * found["words_before"]
    if query.vector is not None:
        meaning = cosines(corpus, query)
        found["meaning"] = meaning
        found["meaning_before"] = _shift(meaning, layout, -1)
        found["meaning_after"] = _shift(meaning, layout, 1)
        found["session_meaning"] = _session_mean(meaning, layout)
        found["session_best_meaning"] = _session_max(meaning, layout)
        found["answer_meaning"] = asked * found["meaning_before"]
    found["speaker"] = np.isin(corpus.speaker, named).astype(np.float32)
    found["question"] = corpus.question
    found["length"] = np.log1p(layout.lengths[0])
    found["long"] = np.maximum(found["length"] - LONG, 0)
    found["opening"] = layout.first
    found["date"] = corpus.dated * np.float32(query.asks_when)
    found["number"] = corpus.number * np.float32(query.asks_number)
    found["time"] = _in_span(corpus, query.span)
    found["assistant"] = corpus.assistant.astype(np.float32)
    found["user_me"] = corpus.user * np.float32(query.says_i)
    found["assistant_you"] = corpus.assistant * np.float32(query.says_you)
    return found


def _named_speakers(corpus: Corpus, query: Query) -> list[int]:
    """Return the speakers whom the question names, unless it names all of them."""
    named = [i for i, terms in enumerate(corpus.speaker_terms) if terms & query.terms]
    return named if len(named) < len(corpus.speaker_terms) else []


def _word_signals(corpus: Corpus, layout: Layout, content: tuple[str, ...], reaches: tuple[int, ...]) -> Signals:
    """Return BM25 and coverage of each cube, of its windows and of its session, each as a share of the whole."""
    n = len(corpus)
    alive = int(corpus.alive.sum())
    scores = {r: np.zeros(n, dtype=np.float32) for r in reaches}
    covers = {r: np.zeros(n, dtype=np.float32) for r in reaches}
    means = {r: float(layout.lengths[r][corpus.alive].mean()) if alive else 1.0 for r in reaches}
    sessions = len(layout.starts)
    session_score = np.zeros(len(layout.session_lengths), dtype=np.float32)
    session_mean = float(layout.session_lengths.sum()) / max(sessions, 1)
    total = session_total = 0.0
    window = np.zeros(n + 1, dtype=np.float32)
    for term in content:
        posting = corpus.words.posting(term)
        if posting is not None and not corpus.alive[posting.positions].all():
            posting = posting.only(corpus.alive)
        df = 0 if posting is None else len(posting.positions)
        weight = idf(alive, df)
        total += weight
        if posting is None or not df:
            session_total += idf(sessions, 0)
            continue
        for reach in reaches:
            if reach == 0:
                where, counts = posting.positions, posting.counts
            else:
                for d in range(-reach, reach + 1):
                    window[layout.around[d][posting.positions]] += posting.counts
                window[n] = 0
                where = np.flatnonzero(window).astype(np.int32)
                counts = window[where]
                window[where] = 0
            scores[reach][where] += weight * saturate(counts, layout.lengths[reach][where], means[reach])
            covers[reach][where] += weight
        if len(reaches) > 1:
            inside = layout.session[posting.positions]
            of = np.bincount(inside[inside >= 0], posting.counts[inside >= 0], minlength=len(session_score))
            where = np.flatnonzero(of).astype(np.int32)
            session_weight = idf(sessions, len(where))
            session_total += session_weight
            lengths = layout.session_lengths[where]
            session_score[where] += session_weight * saturate(of[where].astype(np.float32), lengths, session_mean)
    found: Signals = {}
    for reach, suffix in zip(reaches, ("", "_near", "_around"), strict=False):
        found["words" + suffix] = scores[reach] / max(total, 1e-9)
        found["cover" + suffix] = covers[reach] / max(total, 1e-9)
    if len(reaches) > 1:
        found["session_words"] = _of_session(session_score / max(session_total, 1e-9), layout)
    return found


def _shift(values: Floats, layout: Layout, by: int) -> Floats:
    """Return for each cube the value of the turn `by` after it in its session; 0 where there is none."""
    shifted: Floats = np.r_[values, np.float32(0)][layout.around[by]]
    return shifted


def _of_session(values: Floats, layout: Layout) -> Floats:
    """Spread one value a session over its cubes; 0 for a cube without a session."""
    spread: Floats = np.r_[values, np.float32(0)].astype(np.float32)[layout.session]
    return spread


def _session_max(values: Floats, layout: Layout) -> Floats:
    best = np.zeros(len(layout.session_lengths), dtype=np.float32)
    if len(layout.order):
        best[layout.session[layout.order[layout.starts]]] = np.maximum.reduceat(values[layout.order], layout.starts)
    return _of_session(best, layout)


def _session_mean(values: Floats, layout: Layout) -> Floats:
    size = len(layout.session_lengths)
    inside = layout.session[layout.order]
    sums = np.bincount(inside, weights=values[layout.order], minlength=size)
    counts = np.bincount(inside, minlength=size)
    return _of_session((sums / np.maximum(counts, 1)).astype(np.float32), layout)


def _in_span(corpus: Corpus, span: tuple[int, int] | None) -> Floats:
    """Return 1 for the cubes that happened, or speak of a date, within the time that the question names."""
    inside = np.zeros(len(corpus), dtype=np.float32)
    if span is not None:
        start, stop = span
        inside[(corpus.at >= start) & (corpus.at < stop)] = 1
        dates = corpus.spans()
        inside[dates[(dates[:, 1] < stop) & (dates[:, 2] > start), 0]] = 1
    return inside
