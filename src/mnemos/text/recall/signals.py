"""Signals: retrieval features whose scale does not depend on the size of the space.

Word signals are shares of the question's weight (0: none of its terms, 1: all of them, often); vector signals are
cosines; the others are 0 or 1, or a product of those. None depends on the number of cubes except through the idf, and
those of `contrast`, which say how far a cube stands out among all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mnemos.index.lexical import Posting, idf, saturate
from mnemos.index.terms import to_terms
from mnemos.text.recall.association import association
from mnemos.text.recall.contrast import best_of, of_cosines, of_words, standing
from mnemos.text.recall.corpus import Corpus, Ints
from mnemos.text.recall.cues import cues
from mnemos.text.recall.layout import WINDOWS, Layout
from mnemos.text.recall.postings import TermPosting
from mnemos.text.recall.query import Query

Floats = NDArray[np.float32]
Signals = dict[str, Floats]

_ZERO = np.zeros(1, dtype=np.float32)
_NOWHERE = Posting(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
ALL = 0.999  # share of a question that is all of it
LONG = np.float32(np.log1p(40.0))  # the logarithm of the terms from which a message is long
SIGNALS = (
    "bm25", "coverage", "bm25_near", "coverage_near", "bm25_around", "coverage_around", "session_bm25", "bm25_before",
    "bm25_after", "session_best_bm25", "answer_bm25", "cosine", "cosine_before", "cosine_after",
    "session_cosine", "session_best_cosine", "answer_cosine", "question", "length", "long", "opening", "speaker",
    "took_part", "date", "number", "time", "assistant", "user_me", "assistant_you", "words", "matches",
    "coverage_squared", "words_rank", "later", "latest", "moment_best_bm25", "moment_bm25", "day_best_bm25",
    "cosine_outlier", "cosine_rank", "words_and_cosine", "moment_best_cosine", "day_best_cosine",
    "association", "same",
)  # fmt: skip
# What may speak against a cube; all others only count for it, so that `why` never holds a found word against one.
EITHER_WAY = frozenset(
    {
        "bm25_before", "bm25_after", "cosine_before", "cosine_after", "question", "length", "long", "opening",
        "assistant", "user_me", "assistant_you",
    }
)  # fmt: skip
VECTOR_SIGNALS = frozenset(
    {
        "cosine", "cosine_before", "cosine_after", "session_cosine", "session_best_cosine", "answer_cosine",
        "cosine_outlier", "cosine_rank", "words_and_cosine", "moment_best_cosine", "day_best_cosine", "association",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of the cubes for one question."""

    signals: Signals  # by name, (N,) each
    cues: Mapping[str, float]  # how far words and meaning can be trusted, by name


def word_scores(corpus: Corpus, query: Query) -> Floats:
    """Return plain BM25 of every cube's text, (N,), as a share of the question's weight."""
    return _word_signals(corpus, corpus.layout(), query.content, alone=True).found["bm25"]


def signals(corpus: Corpus, query: Query) -> Signals:
    """Return the signals of all cubes, name to (N,); see `read`."""
    return read(corpus, query, corpus.alive).signals


def read(corpus: Corpus, query: Query, shown: NDArray[np.bool_]) -> Read:
    """Return the signals and the cues for a question among the `shown` cubes, (N,).

    Signals that do not apply to the question are left out: vector signals when it has no vector, the speaker when it
    names none, dates when it does not ask for one, association when it asks something. Cost: O(N) per signal, and O(df)
    per term.
    """
    layout = corpus.layout()
    named = _named_speakers(corpus, query)
    names = frozenset().union(*(corpus.speaker_terms[s] for s in named)) if named else frozenset()
    others = zip(query.content, to_terms(query.content), strict=True)
    content = tuple(word for word, term in others if term not in names) or query.content
    cosines = None if query.vector is None else corpus.vectors.start(query.vector)
    around = _word_signals(corpus, layout, content)
    plain = _with_names(around, corpus, layout, tuple(w for w in query.content if w not in content))
    found = around.found
    bm25 = found["bm25"]
    found["words"] = plain.found["bm25"]
    found["bm25_before"] = _shift(bm25, layout, -1)
    found["bm25_after"] = _shift(bm25, layout, 1)
    found["session_best_bm25"] = _session_max(bm25.take(layout.by_session), layout)
    asked = _shift(corpus.question, layout, -1)
    found["answer_bm25"] = asked * found["bm25_before"]
    found["moment_best_bm25"], found["moment_bm25"] = layout.moments.near(found["words"])
    found["day_best_bm25"] = layout.moments.best_of_day(found["words"])
    best = best_of(found["words"], shown)
    weight = plain.weight / max(idf(corpus.count, 1), 1e-9)
    found |= of_words(found["words"], found["coverage"], weight, best, layout.moments)
    above = None
    if cosines is not None and query.vector is not None:
        cosine = cosines()
        above = standing(cosine, shown, corpus.spread(query.vector))
        found |= _meanings(cosine, asked, layout) | of_cosines(above, found["words"])
    if cosines is not None and query.remarks and query.vector is not None:
        matched = float(found["coverage"].max(initial=0)) * len(content)
        found["association"] = association(corpus, found["cosine"], query.vector, matched)
    found["same"] = _same(corpus, query, (found["coverage"] > ALL) & (layout.lengths[0] == len(query.said)))
    found |= _circumstances(corpus, layout, query, named)
    return Read(found, cues(corpus, query, found, best, plain.known, above))


def _same(corpus: Corpus, query: Query, alike: NDArray[np.bool_]) -> Floats:
    """Return 1 for the cubes that say the question in its own words, (N,); only those that are `alike` are looked at."""
    at = np.flatnonzero(alike)
    for word in query.said if len(at) else ():
        posting = corpus.words.posting(word)
        at = at[:0] if posting is None else at[np.isin(at, posting.positions)]
    found = np.zeros(len(alike), dtype=np.float32)
    found[at] = 1
    return found


def _meanings(cosine: Floats, asked: Floats, layout: Layout) -> Signals:
    """Return the signals of meaning that need no contrast: of each cube, its neighbours, talk and time."""
    ordered = cosine.take(layout.by_session)
    before = _shift(cosine, layout, -1)
    return {
        "cosine": cosine,
        "cosine_before": before,
        "cosine_after": _shift(cosine, layout, 1),
        "session_cosine": _session_mean(ordered, layout),
        "session_best_cosine": _session_max(ordered, layout),
        "answer_cosine": asked * before,
        "moment_best_cosine": layout.moments.near(cosine)[0],
        "day_best_cosine": layout.moments.best_of_day(cosine),
    }


def _circumstances(corpus: Corpus, layout: Layout, query: Query, named: Sequence[int]) -> Signals:
    """Return the signals of who said it, when, and in what form."""
    found: Signals = {
        "question": corpus.question,
        "length": layout.log_length,
        "long": np.maximum(layout.log_length - LONG, 0),
        "opening": layout.first,
    }
    if named:
        found["speaker"], found["took_part"] = _of_persons(corpus, layout, named)
    if query.asks_when:
        found["date"] = corpus.dated
    if query.asks_number:
        found["number"] = corpus.number
    if query.span is not None:
        found["time"] = in_span(corpus, query.span, told=not query.plans)
    if corpus.has_roles:
        found["assistant"] = corpus.assistant.astype(np.float32)
        if query.says_i:
            found["user_me"] = corpus.user.astype(np.float32)
        if query.says_you:
            found["assistant_you"] = found["assistant"]
    return found


def _of_persons(corpus: Corpus, layout: Layout, named: Sequence[int]) -> tuple[Floats, Floats]:
    """Return what the named persons say, and the sessions that they take part in, the more the rarer they are.

    A person counts log2(1 / share): 1 for one of two who talk, 4 for one of sixteen. It counts as far as the cubes of the
    space say who speaks at all.
    """
    by_speaker = corpus.known().spoken
    spoken, n = max(sum(by_speaker), 1), max(corpus.count, 1)
    says, part = np.zeros(len(corpus), dtype=np.float32), np.zeros(len(corpus), dtype=np.float32)
    for person in named:
        own = (corpus.speaker == person) & corpus.alive
        if not own.any():
            continue
        says[own] = max(-math.log2(by_speaker[person] / spoken) * min(spoken / n, 1.0), 0.0)
        inside, share = corpus.sessions_of(person)
        if share:
            rare = np.float32(max(-math.log2(min(share, 1.0)), 0.0))
            np.maximum(part, inside[layout.session] * rare, out=part)
    return says, part


@dataclass(frozen=True, slots=True)
class Words:
    """The signals of words, the whole weight of the question, and the share of it in words that the space has."""

    found: Signals
    weight: float
    known: float


def _with_names(around: Words, corpus: Corpus, layout: Layout, names: tuple[str, ...]) -> Words:
    """Return plain BM25 of the whole question: of the words that were looked up, and of the names that were left out."""
    if not names:
        return around
    left = _word_signals(corpus, layout, names, alone=True)
    weight = around.weight + left.weight
    share = np.float32(around.weight / weight)
    words = around.found["bm25"] * share + left.found["bm25"] * (1 - share)
    return Words({"bm25": words}, weight, (around.known * around.weight + left.known * left.weight) / weight)


def _named_speakers(corpus: Corpus, query: Query) -> list[int]:
    """Return the speakers that the question names; none when it names all of them."""
    speaking = corpus.speakers.values()
    named = [i for i in speaking if corpus.speaker_terms[i] & query.terms]
    return named if len(named) < len(speaking) else []


def _word_signals(corpus: Corpus, layout: Layout, content: tuple[str, ...], *, alone: bool = False) -> Words:
    """Return BM25 and coverage of each cube, its windows and its session, as shares of the question's weight.

    With `alone` of the cubes only, without their windows and sessions.
    """
    n, talks = len(corpus), len(layout.talk_starts)
    reaches = (0,) if alone else (0, *WINDOWS)
    scores = {r: np.zeros(n, dtype=np.float32) for r in reaches}
    covers = {r: np.zeros(n, dtype=np.float32) for r in reaches}
    talk_scores = np.zeros(talks, dtype=np.float32)
    total = talk_total = 1e-9
    unknown = 0.0
    for word in content:
        found_in = term_posting(corpus, layout, word)
        total += found_in.weight
        talk_total += found_in.talk_weight
        if not len(found_in.positions):
            unknown += found_in.weight
            continue
        for reach, where, part in found_in.parts[: len(reaches)]:
            np.add.at(scores[reach], where, part)  # faster than [where] +=, which reads and writes apart
            np.add.at(covers[reach], where, np.float32(found_in.weight))
        of_talks, part = found_in.talks
        talk_scores[of_talks] += part
    found: Signals = {}
    for reach, suffix in zip(reaches, ("", "_near", "_around"), strict=False):
        found["bm25" + suffix] = scores[reach] / np.float32(total)
        found["coverage" + suffix] = covers[reach] / np.float32(total)
    if not alone:
        found["session_bm25"] = _padded(talk_scores / np.float32(talk_total)).take(layout.talk)
    return Words(found, total, 1 - unknown / total)


def term_posting(corpus: Corpus, layout: Layout, word: str) -> TermPosting:
    """Return where a word is and what it adds to BM25, from the cache of the layout; one that no cube has is nowhere."""
    found = corpus.terms.get(word)
    if found is None:
        found = _term_posting(corpus, layout, corpus.words.posting(word, corpus.alive) or _NOWHERE)
        corpus.terms.put(word, found)
    return found


def parts_of(layout: Layout, posting: Posting, weight: float, n: int) -> tuple[tuple[int, Ints, Floats], ...]:
    """Return what a term adds to the BM25 of cubes and their windows."""
    return tuple(
        (reach, where, weight * saturate(counts, layout.lengths[reach][where], layout.mean_lengths[reach]))
        for reach, where, counts in _in_windows(posting, layout, n)
    )


def _term_posting(corpus: Corpus, layout: Layout, posting: Posting) -> TermPosting:
    """Return what a term adds to the BM25 of cubes, their windows, and sessions. O(df)."""
    if corpus.count < len(corpus):
        posting = posting.only(corpus.alive)
    weight = idf(corpus.count, len(posting.positions))
    parts = parts_of(layout, posting, weight, len(corpus))
    talks = len(layout.talk_starts)
    inside = layout.talk[posting.positions] + 1  # 0 is none
    counts = np.bincount(inside, posting.counts, minlength=talks + 1)[1:].astype(np.float32)
    where = np.flatnonzero(counts)
    talk_weight, mean = idf(talks, len(where)), float(layout.talk_lengths.sum()) / max(talks, 1)
    part = talk_weight * saturate(counts[where], layout.talk_lengths[where], mean)
    return TermPosting(weight, parts, talk_weight, (where, part))


def _in_windows(posting: Posting, layout: Layout, n: int) -> Iterator[tuple[int, Ints, Floats]]:
    """Yield (reach, positions, counts) of a term in cubes (reach 0) and in their windows, the smaller first."""
    yield 0, posting.positions, posting.counts
    window = np.zeros(n + 1, dtype=np.float32)
    places = [posting.positions]
    window[posting.positions] = posting.counts
    for reach, last in pairwise((0, *WINDOWS)):
        for d in (*range(-last, -reach), *range(reach + 1, last + 1)):
            places.append(layout.neighbours[d][posting.positions])
            window[places[-1]] += posting.counts  # a position occurs at most once, except -1, which means none
        window[-1] = 0
        where = _nonzero(window, places)
        yield last, where, window[where]


def _nonzero(window: Floats, places: Sequence[Ints]) -> Ints:
    """Return the positions where a window is not 0: from few places by sorting them, from many by a scan."""
    if sum(map(len, places)) * 16 > len(window):
        return np.flatnonzero(window[:-1]).astype(np.int32)
    where = np.unique(np.concatenate(places))
    return where[where >= 0]


def _shift(values: Floats, layout: Layout, by: int) -> Floats:
    """Return for each cube the value of the turn `by` turns after it in its session; 0 where there is none."""
    return _padded(values).take(layout.neighbours[by])


def _session_max(ordered: Floats, layout: Layout) -> Floats:
    """Return for each cube the largest value of its talk; `ordered` is talk by talk."""
    best: Floats = np.maximum.reduceat(ordered, layout.talk_starts) if len(ordered) else ordered
    return _padded(best).take(layout.talk)


def _session_mean(ordered: Floats, layout: Layout) -> Floats:
    """Return for each cube the mean value of its talk; `ordered` is talk by talk."""
    sums: Floats = np.add.reduceat(ordered, layout.talk_starts) if len(ordered) else ordered
    return _padded((sums / layout.talk_sizes).astype(np.float32)).take(layout.talk)


def _padded(values: Floats) -> Floats:
    """Return values with a 0 appended, which means "none"."""
    return np.concatenate([values, _ZERO])


def in_span(corpus: Corpus, span: tuple[int, int], *, told: bool = True) -> Floats:
    """Return how far each cube is of the time that the question names, (N,): 1 where it was told within it.

    A date that it mentions counts by the share of it that lies within: "in spring" says little of 4 May. Without `told`
    only these count.
    """
    start, end = span
    inside = ((corpus.at >= start) & (corpus.at < end) & told).astype(np.float32)
    dates = corpus.spans()
    dates = dates[(dates[:, 1] < end) & (dates[:, 2] > start)]
    common = np.minimum(dates[:, 2], end) - np.maximum(dates[:, 1], start)
    np.maximum.at(inside, dates[:, 0], (common / np.maximum(dates[:, 2] - dates[:, 1], 1)).astype(np.float32))
    return inside
