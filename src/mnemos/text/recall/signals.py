"""Signals: retrieval features whose scale does not depend on the size of the space.

Word signals are shares of the question's weight (0: none of its terms, 1: all of them, often); vector signals are
cosines; the others are 0 or 1, or a product of those. None depends on the number of cubes except through the idf.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mnemos.index.lexical import Posting, idf, saturate
from mnemos.index.terms import to_terms
from mnemos.text.recall.association import association
from mnemos.text.recall.corpus import WINDOWS, Corpus, Ints, Layout, TermPosting, sum_of
from mnemos.text.recall.query import Query

Floats = NDArray[np.float32]
Signals = dict[str, Floats]

_ZERO = np.zeros(1, dtype=np.float32)
LONG = np.float32(np.log1p(40.0))  # the logarithm of the terms from which a message is long
SIGNALS = (
    "bm25", "coverage", "bm25_near", "coverage_near", "bm25_around", "coverage_around", "session_bm25", "bm25_before",
    "bm25_after", "session_best_bm25", "answer_bm25", "cosine", "cosine_before", "cosine_after",
    "session_cosine", "session_best_cosine", "answer_cosine", "question", "length", "long", "opening", "speaker",
    "date", "number", "time", "assistant", "user_me", "assistant_you", "association",
)  # fmt: skip
VECTOR_SIGNALS = frozenset(
    {"cosine", "cosine_before", "cosine_after", "session_cosine", "session_best_cosine", "answer_cosine", "association"}
)


def word_scores(corpus: Corpus, query: Query) -> Floats:
    """Return plain BM25 of every cube's text, (N,), as a share of the question's weight."""
    return _word_signals(corpus, corpus.layout(), query.content, alone=True)["bm25"]


def signals(corpus: Corpus, query: Query) -> Signals:
    """Return the signals of all cubes, name to (N,). Cost: O(N) per signal, and O(df) per term.

    Signals that do not apply to the question are left out: vector signals when it has no vector, the speaker when it
    names none, dates when it does not ask for one, association when it asks something.
    """
    layout = corpus.layout()
    named = _named_speakers(corpus, query)
    names = frozenset().union(*(corpus.speaker_terms[s] for s in named)) if named else frozenset()
    others = zip(query.content, to_terms(query.content), strict=True)
    content = tuple(word for word, term in others if term not in names) or query.content
    cosines = None if query.vector is None else corpus.vectors.start(query.vector)
    found = _word_signals(corpus, layout, content)
    words = found["bm25"]
    found["bm25_before"] = _shift(words, layout, -1)
    found["bm25_after"] = _shift(words, layout, 1)
    found["session_best_bm25"] = _session_max(words.take(layout.by_session), layout)
    asked = _shift(corpus.question, layout, -1)
    found["answer_bm25"] = asked * found["bm25_before"]
    if cosines is not None:
        cosine = cosines()
        found["cosine"] = cosine
        found["cosine_before"] = _shift(cosine, layout, -1)
        found["cosine_after"] = _shift(cosine, layout, 1)
        ordered = cosine.take(layout.by_session)
        found["session_cosine"] = _session_mean(ordered, layout)
        found["session_best_cosine"] = _session_max(ordered, layout)
        found["answer_cosine"] = asked * found["cosine_before"]
    if cosines is not None and query.remarks and query.vector is not None:
        matched = float(found["coverage"].max(initial=0)) * len(content)
        found["association"] = association(corpus.vectors, corpus.alive, found["cosine"], query.vector, matched)
    found["question"] = corpus.question
    found["length"] = layout.log_length
    found["long"] = np.maximum(layout.log_length - LONG, 0)
    found["opening"] = layout.first
    if named:
        found["speaker"] = sum_of([(corpus.speaker == s).astype(np.float32) for s in named])
    if query.asks_when:
        found["date"] = corpus.dated
    if query.asks_number:
        found["number"] = corpus.number
    if query.span is not None:
        found["time"] = _in_span(corpus, query.span)
    if corpus.has_roles:
        found["assistant"] = corpus.assistant.astype(np.float32)
        if query.says_i:
            found["user_me"] = corpus.user.astype(np.float32)
        if query.says_you:
            found["assistant_you"] = found["assistant"]
    return found


def _named_speakers(corpus: Corpus, query: Query) -> list[int]:
    """Return the speakers that the question names; none when it names all of them."""
    named = [i for i, terms in enumerate(corpus.speaker_terms) if terms & query.terms]
    return named if len(named) < len(corpus.speaker_terms) else []


def _word_signals(corpus: Corpus, layout: Layout, content: tuple[str, ...], *, alone: bool = False) -> Signals:
    """Return BM25 and coverage of each cube, its windows and its session, as shares of the question's weight.

    With `alone` of the cubes only, without their windows and sessions.
    """
    n, sessions = len(corpus), len(layout.session_starts)
    reaches = (0,) if alone else (0, *WINDOWS)
    scores = {r: np.zeros(n, dtype=np.float32) for r in reaches}
    covers = {r: np.zeros(n, dtype=np.float32) for r in reaches}
    session_scores = np.zeros(len(layout.session_lengths), dtype=np.float32)
    total = session_total = 1e-9
    for word in content:
        cached = layout.terms.get(word)
        if cached is None:
            posting = corpus.words.posting(word)
            if posting is None:
                total += idf(layout.count, 0)
                session_total += idf(sessions, 0)
                continue
            cached = _term_posting(corpus, layout, posting)
            layout.terms.put(word, cached)
        total += cached.weight
        for reach, where, part in cached.parts[: len(reaches)]:
            np.add.at(scores[reach], where, part)  # faster than [where] +=, which reads and writes apart
            np.add.at(covers[reach], where, np.float32(cached.weight))
        of_sessions, part = cached.sessions
        session_scores[of_sessions] += part
        session_total += cached.session_weight
    found: Signals = {}
    for reach, suffix in zip(reaches, ("", "_near", "_around"), strict=False):
        found["bm25" + suffix] = scores[reach] / np.float32(total)
        found["coverage" + suffix] = covers[reach] / np.float32(total)
    if not alone:
        found["session_bm25"] = _of_session(session_scores / np.float32(session_total), layout)
    return found


def _term_posting(corpus: Corpus, layout: Layout, posting: Posting) -> TermPosting:
    """Return what a term adds to the BM25 of cubes, their windows, and sessions. O(df)."""
    if layout.count < len(corpus):
        posting = posting.only(corpus.alive)
    weight = idf(layout.count, len(posting.positions))
    parts = tuple(
        (reach, where, weight * saturate(counts, layout.lengths[reach][where], layout.mean_lengths[reach]))
        for reach, where, counts in _in_windows(posting, layout, len(corpus))
    )
    inside = layout.session[posting.positions]
    counts = np.bincount(
        inside[inside >= 0], posting.counts[inside >= 0], minlength=len(layout.session_lengths)
    ).astype(np.float32)
    where = np.flatnonzero(counts)
    sessions = len(layout.session_starts)
    session_weight, mean = idf(sessions, len(where)), float(layout.session_lengths.sum()) / max(sessions, 1)
    part = session_weight * saturate(counts[where], layout.session_lengths[where], mean)
    return TermPosting(weight, parts, session_weight, (where, part))


def _in_windows(posting: Posting, layout: Layout, n: int) -> Iterator[tuple[int, Ints, Floats]]:
    """Yield (reach, positions, counts) of a term in cubes (reach 0) and in their windows, the smaller first."""
    yield 0, posting.positions, posting.counts
    window = np.zeros(n + 1, dtype=np.float32)
    places = [posting.positions]
    window[posting.positions] = posting.counts
    for reach, last in pairwise((0, *WINDOWS)):
        for d in (*range(-last, -reach), *range(reach + 1, last + 1)):
            places.append(layout.neighbours[d][posting.positions])
            window[places[-1]] += posting.counts  # a position occurs at most once, except N, which means none
        window[-1] = 0
        where = _nonzero(window, places)
        yield last, where, window[where]


def _nonzero(window: Floats, places: Sequence[Ints]) -> Ints:
    """Return the positions where a window is not 0: from few places by sorting them, from many by a scan."""
    if sum(map(len, places)) * 16 > len(window):
        return np.flatnonzero(window).astype(np.int32)
    where = np.unique(np.concatenate(places))
    return where[where < len(window) - 1]


def _shift(values: Floats, layout: Layout, by: int) -> Floats:
    """Return for each cube the value of the turn `by` turns after it in its session; 0 where there is none."""
    return _padded(values).take(layout.neighbours[by])


def _of_session(values: Floats, layout: Layout) -> Floats:
    """Return for each cube the value of its session; 0 for a cube without a session."""
    return _padded(values).take(layout.session)


def _session_max(ordered: Floats, layout: Layout) -> Floats:
    """Return for each cube the largest value of its session; `ordered` is session by session."""
    best: Floats = np.maximum.reduceat(ordered, layout.session_starts) if len(ordered) else ordered
    return _padded(best).take(layout.session_rank)


def _session_mean(ordered: Floats, layout: Layout) -> Floats:
    """Return for each cube the mean value of its session; `ordered` is session by session."""
    sums: Floats = np.add.reduceat(ordered, layout.session_starts) if len(ordered) else ordered
    return _padded((sums / layout.session_sizes).astype(np.float32)).take(layout.session_rank)


def _padded(values: Floats) -> Floats:
    """Return values with a 0 appended, which means "none"."""
    return np.concatenate([values, _ZERO])


def _in_span(corpus: Corpus, span: tuple[int, int]) -> Floats:
    """Return 1 for the cubes that happened, or mention a date, within the time that the question names."""
    start, end = span
    inside = ((corpus.at >= start) & (corpus.at < end)).astype(np.float32)
    dates = corpus.spans()
    inside[dates[(dates[:, 1] < end) & (dates[:, 2] > start), 0]] = 1
    return inside
