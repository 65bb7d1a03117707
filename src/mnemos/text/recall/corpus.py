"""The corpus of a space: words, vectors and the shape of the conversation, by position."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.languages import language_of_terms
from mnemos.index.exact import ExactIndex
from mnemos.index.lexical import LexicalIndex
from mnemos.index.terms import terms
from mnemos.store.values import DERIVED, IndexRow
from mnemos.text.recall.moments import Moments, moments

T = TypeVar("T", np.int32, np.float32)
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
WINDOWS = (1, 3)  # reaches of the windows of a turn: turns before and after it
PAUSE = 6 * 3_600_000_000  # microseconds after which the turns of a session are another talk
KEPT = 2_000_000  # positions in the cache of terms: 16 MB
_NUMBER = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|once|twice|dozen|hundred|thousand)\b")


@dataclass(frozen=True, slots=True)
class TermPosting:
    """What a term adds to the BM25 of cubes and talks."""

    weight: float  # its idf over cubes
    parts: tuple[tuple[int, Ints, Floats], ...]  # by reach of a window: positions (M,), and what it adds there (M,)
    talk_weight: float  # its idf over talks
    talks: tuple[NDArray[np.int64], Floats]  # the talks that contain it, and what it adds to each

    @property
    def positions(self) -> Ints:
        """The cubes that contain it, (df,)."""
        return self.parts[0][1]

    @property
    def size(self) -> int:
        """The number of positions it holds, and one for itself."""
        return 1 + sum(len(where) for _, where, _ in self.parts) + len(self.talks[0])


class TermCache:
    """A cache of term postings, least recently used first out: questions share many terms. Not safe for threads."""

    def __init__(self) -> None:
        self._terms: dict[str, TermPosting] = {}
        self.size = 0

    def get(self, term: str) -> TermPosting | None:
        """Return the posting of a term, or None."""
        if (posting := self._terms.pop(term, None)) is not None:
            self._terms[term] = posting
        return posting

    def put(self, term: str, posting: TermPosting) -> None:
        """Add a posting; the least recently used ones are evicted."""
        self._terms[term] = posting
        self.size += posting.size
        while self.size > KEPT:
            self.size -= self._terms.pop(next(iter(self._terms))).size


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of the conversation: neighbours, sessions and lengths. N, one past the last position, means "none".

    `S` is the number of sessions that have cubes; sessions are ranked by their number. A *talk* is the part of a session
    between two pauses of more than six hours: a thread of short messages lasts for years, and what was said in March
    says nothing about the next line of May. `T` is the number of talks.
    """

    neighbours: dict[int, Ints]  # [d] (N,): the position d turns after each one in its talk, d in -3..3; N is none
    session: Ints  # (N,) the number of its session; -1 is none
    by_session: Ints  # positions session by session, each in time order
    session_starts: Ints  # (S,) where each session begins in `by_session`
    session_sizes: Ints  # (S,) the turns of each session
    talk: Ints  # (N,) the number of its talk; T is none
    talk_starts: Ints  # (T,) where each talk begins in `by_session`
    talk_sizes: Ints  # (T,) the turns of each talk
    talk_lengths: Floats  # (T,) the terms of each talk
    lengths: dict[int, Floats]  # [reach] (N,): terms within 0, 1 or 3 turns on both sides
    mean_lengths: dict[int, float]  # of originals
    median_length: float
    log_length: Floats
    first: Floats  # (N,) 1 at the first turn of a talk
    in_talks: float  # share of the cubes that have another turn in their talk
    moments: Moments  # the cubes by time
    count: int  # cubes that are not removed
    terms: TermCache = field(default_factory=TermCache)


class Corpus:
    """The cubes of a space by position, in the order of their keys. It grows by `add`; `remove` leaves holes."""

    def __init__(self) -> None:
        self.words = LexicalIndex()
        self.vectors = ExactIndex()
        self.keys = np.zeros(0, dtype=np.int64)
        self.alive = np.zeros(0, dtype=bool)
        self.superseded = np.zeros(0, dtype=bool)
        self.derived = np.zeros(0, dtype=bool)
        self._at = np.zeros(0, dtype=np.int64)
        self._session = np.zeros(0, dtype=np.int32)
        self._sessions: dict[str, int] = {}
        self.session_names: list[str | None] = []
        self.speaker = np.zeros(0, dtype=np.int32)
        self.speakers: dict[str, int] = {}
        self.speaker_terms: list[frozenset[str]] = []
        self.user = np.zeros(0, dtype=bool)
        self.assistant = np.zeros(0, dtype=bool)  # turns of an assistant, not its notes
        self.question = np.zeros(0, dtype=np.float32)
        self.number = np.zeros(0, dtype=np.float32)
        self.dated = np.zeros(0, dtype=np.float32)
        self._languages: dict[str, int] = {}  # cubes by language, removed ones too
        self._spans: list[tuple[int, int, int]] = []  # (position, start, end) of each date mentioned
        self._span_array: NDArray[np.int64] | None = None
        self._layout: Layout | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def at(self) -> NDArray[np.int64]:
        """When each cube happened, (N,), in microseconds since 1970."""
        return self._at

    def named_speaker(self, question: str) -> str | None:
        """Return the one speaker whom a question names; None where it names none, several, or all there are."""
        said = frozenset(terms(question))
        named = [name for name, i in self.speakers.items() if self.speaker_terms[i] & said]
        return named[0] if len(named) == 1 < len(self.speakers) else None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        layout = 0
        if self._layout is not None:
            layout = 4 * len(self) * (4 * WINDOWS[-1] + 12) + 8 * self._layout.terms.size
        return self.words.nbytes + self.vectors.nbytes + 40 * len(self) + 24 * len(self._spans) + layout

    def add(self, rows: Sequence[IndexRow]) -> None:
        """Append rows with keys above all others. O(terms), about 50 us a row."""
        if not rows:
            return
        start = len(self)
        self.words.add(r.terms for r in rows)
        self.vectors.add([r.vector for r in rows])
        self.keys = np.concatenate([self.keys, np.array([r.key for r in rows], dtype=np.int64)])
        self.alive = np.concatenate([self.alive, np.ones(len(rows), dtype=bool)])
        self.superseded = np.concatenate([self.superseded, np.array([r.superseded for r in rows], dtype=bool)])
        self.derived = np.concatenate([self.derived, np.array([r.kind in DERIVED for r in rows], dtype=bool)])
        self._at = np.concatenate([self._at, np.array([r.at for r in rows], dtype=np.int64)])
        self._session = _extend(self._session, [self._session_number(r.session) for r in rows])
        self.speaker = _extend(self.speaker, [self._speaker_number(r.speaker) for r in rows])
        self.user = np.concatenate([self.user, np.array([r.role == "user" for r in rows], dtype=bool)])
        self.assistant = np.concatenate(
            [self.assistant, np.array([r.role == "assistant" and r.kind == "turn" for r in rows], dtype=bool)]
        )
        self.question = _extend(self.question, [float("?" in r.text[-60:]) for r in rows])
        self.number = _extend(self.number, [float(_NUMBER.search(r.text) is not None) for r in rows])
        self.dated = _extend(self.dated, [float(bool(r.dates)) for r in rows])
        for r in rows:
            language = language_of_terms(r.terms)
            self._languages[language] = self._languages.get(language, 0) + 1
        self._spans += [(i, *span) for i, r in enumerate(rows, start) for span in r.dates]
        self._span_array = None
        self._layout = None

    def remove(self, keys: Sequence[int]) -> None:
        """Remove the rows with these keys; unknown keys are ignored."""
        positions = self.positions(np.array(keys, dtype=np.int64))
        if len(positions):
            self.alive[positions] = False
            self._layout = None

    def positions(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of those keys that exist, in the order of the keys."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        found = np.searchsorted(self.keys, keys)
        found[found == len(self)] = 0
        there: NDArray[np.int64] = found[self.keys[found] == keys]
        return there

    def positions_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of each key, (len(keys),); -1 for one that does not exist."""
        if not len(self):
            return np.full(len(keys), -1, dtype=np.int64)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return np.where(self.keys[found] == keys, found, -1)

    @property
    def has_roles(self) -> bool:
        """Whether any cube was said by a user or an assistant."""
        return bool(self.user.any() or self.assistant.any())

    def spans(self) -> NDArray[np.int64]:
        """Return (position, start, end) of each date that a text mentions, (M, 3)."""
        if self._span_array is None:
            self._span_array = np.array(self._spans, dtype=np.int64).reshape(-1, 3)
        return self._span_array

    def fluency(self, of: Callable[[str], float]) -> float:
        """Return how well an embedder knows the languages of the texts, 0 to 1, from what it knows `of` each."""
        counts = self._languages
        return sum(of(language) * count for language, count in counts.items()) / max(sum(counts.values()), 1)

    def layout(self) -> Layout:
        """Return the shape of the conversation; recomputed after a change, O(N log N): 15 ms for 100,000."""
        if self._layout is None:
            self._layout = self._lay_out()
        return self._layout

    def _lay_out(self) -> Layout:
        n = len(self)
        originals = self.alive & ~self.derived  # derived cubes are not turns
        session = np.where(originals, self._session, -1).astype(np.int32)
        inside = np.flatnonzero(session >= 0)
        by_session = _by_session_and_time(inside, session, self._at)
        sorted_session = session[by_session]
        starts = (
            np.flatnonzero(np.r_[True, sorted_session[1:] != sorted_session[:-1]]) if len(by_session) else by_session
        )
        sizes = np.diff(np.r_[starts, len(by_session)])
        talk_starts, talk_sizes, talk = _talks(n, by_session, sorted_session, self._at)
        sorted_talk = talk[by_session]
        neighbours = {0: np.arange(n, dtype=np.int32)}
        for d in range(1, WINDOWS[-1] + 1):
            before, after = np.full(n, n, dtype=np.int32), np.full(n, n, dtype=np.int32)
            same = sorted_talk[d:] == sorted_talk[:-d]
            left, right = by_session[:-d][same], by_session[d:][same]
            before[right], after[left] = left, right
            neighbours[-d], neighbours[d] = before, after
        lengths = self.words.lengths()
        padded = np.r_[lengths, np.float32(0)]
        windows = {reach: sum_of([padded[neighbours[d]] for d in range(-reach, reach + 1)]) for reach in (0, *WINDOWS)}
        first = (neighbours[-1] == n) & (session >= 0)
        current = {reach: w[originals] for reach, w in windows.items()}
        some = bool(originals.any())
        return Layout(
            neighbours=neighbours,
            session=session,
            by_session=by_session,
            session_starts=starts.astype(np.int32),
            session_sizes=sizes.astype(np.int32),
            talk=talk,
            talk_starts=talk_starts,
            talk_sizes=talk_sizes,
            talk_lengths=np.bincount(sorted_talk, weights=lengths[by_session], minlength=len(talk_starts)).astype(
                np.float32
            ),
            lengths=windows,
            mean_lengths={reach: float(w.mean()) if some else 1.0 for reach, w in current.items()},
            median_length=float(np.median(current[0])) if some else 0.0,
            log_length=np.log1p(lengths),
            first=first.astype(np.float32),
            in_talks=float(talk_sizes[talk_sizes > 1].sum()) / max(int(originals.sum()), 1),
            moments=moments(self._at, originals),
            count=int(self.alive.sum()),
        )

    def _session_number(self, name: str | None) -> int:
        if name is None:
            return -1
        if name not in self._sessions:
            self._sessions[name] = len(self.session_names)
            self.session_names.append(name)
        return self._sessions[name]

    def _speaker_number(self, name: str | None) -> int:
        if name is None:
            return -1
        if name not in self.speakers:
            self.speakers[name] = len(self.speakers)
            self.speaker_terms.append(frozenset(terms(name)))
        return self.speakers[name]


def _talks(n: int, by_session: Ints, sorted_session: Ints, at: NDArray[np.int64]) -> tuple[Ints, Ints, Ints]:
    """Return where the talks begin in `by_session`, (T,), their sizes, (T,), and the talk of each cube, (N,)."""
    times = at[by_session]
    new = (sorted_session[1:] != sorted_session[:-1]) | (times[1:] - times[:-1] > PAUSE)
    starts = np.flatnonzero(np.r_[np.ones(min(len(by_session), 1), dtype=bool), new]).astype(np.int32)
    sizes = np.diff(np.r_[starts, len(by_session)]).astype(np.int32)
    talk = np.full(n, len(starts), dtype=np.int32)
    talk[by_session] = np.repeat(np.arange(len(starts), dtype=np.int32), sizes)
    return starts, sizes, talk


def _by_session_and_time(positions: NDArray[np.int64], session: Ints, at: NDArray[np.int64]) -> Ints:
    """Return the positions session by session, each in order of time."""
    order = positions[np.argsort(session[positions], kind="stable")]
    later = (at[order[1:]] >= at[order[:-1]]) | (session[order[1:]] != session[order[:-1]])
    if not later.all():  # messages arrived out of order: also sort by time, five times slower
        order = positions[np.lexsort((positions, at[positions], session[positions]))]
    return order.astype(np.int32)


def sum_of(arrays: Sequence[Floats]) -> Floats:
    """Return the sum of arrays of one shape."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def _extend(array: NDArray[T], values: Sequence[float]) -> NDArray[T]:
    return np.concatenate([array, np.array(values, dtype=array.dtype)])
