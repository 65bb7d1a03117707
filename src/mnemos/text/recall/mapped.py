"""The corpus of a large space: words and vectors in memory-mapped files, some hundred bytes a cube in RAM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.index.base import VectorIndex
from mnemos.index.lexical import Posting, idf, saturate
from mnemos.index.mapped_rows import MappedRows
from mnemos.index.mapped_words import MappedWords
from mnemos.index.terms import to_terms
from mnemos.text.recall.corpus import Bools, Corpus, Floats, Ints, Longs
from mnemos.text.recall.query import Query

KEPT = 8_000_000  # positions of the facts of terms that are held: 12 bytes each
COMMON = 0.02  # share of the cubes from which a word finds no candidates, if rarer ones do
SLACK = 0.02  # growth of the corpus within which facts of terms and persons are not computed again
BY_WORDS, BY_VECTORS, IN_TIME, OF_SPEAKER = 400, 400, 100, 100  # candidates of each kind
NEAREST, MOST = 1_000, 4_000  # nearest cubes that the index is asked for; the same where a filter hides some of them
FILTERED = 10  # nearest cubes that it is asked for among those that pass a filter, if fewer were found so
COMPARED = 10_000  # cubes whose vectors are compared with the question one by one,
OF_PERSONS = 4_000  # and those of all the persons that it names
PERSONS = 16  # persons whom a question names, the rarest, whose words are looked for
Belongs = Callable[
    [NDArray[np.integer] | slice], Bools
]  # which of the cubes at some positions belong to a person or a time
HALF = 0.5  # share of the cubes from which the sessions of a speaker are no selection


@dataclass(frozen=True, slots=True)
class TermFacts:
    """A word in all of a large corpus, as it was when it had `count` cubes."""

    count: int
    posting: Posting
    saturated: Floats  # (df,) what its BM25 weight is multiplied by at each cube
    documents: int  # cubes that have it
    talks: int  # talks that have it


@dataclass(frozen=True, slots=True)
class Worded:
    """Cubes that have words of a question, each once, (M,), and what the words score there."""

    places: Ints
    scores: Floats

    def only(self, chosen: Bools) -> Worded:
        """Return some of them, by (M,)."""
        return Worded(self.places[chosen], self.scores[chosen])

    def best(self, most: int) -> Longs:
        """Return the best positions, the best first, of equal ones the first. O(M)."""
        found = self
        if len(self.scores) > most:
            found = self.only(
                self.scores >= np.partition(self.scores, len(self.scores) - most)[len(self.scores) - most]
            )
        return found.places[np.lexsort((found.places, -found.scores))[:most]].astype(np.int64)


class MappedCorpus(Corpus):
    """A corpus whose words and vectors are looked up, never read as a whole. Keys of `near` are positions."""

    def __init__(self, rows: MappedRows, near: VectorIndex | None) -> None:
        self.mapped, self.rows, self.near = MappedWords(), rows, near
        super().__init__(self.mapped, rows)
        self._facts: dict[str, TermFacts] = {}
        self._held = 0
        self._counts = np.zeros(0, dtype=np.float32)
        self._persons: dict[int, tuple[int, tuple[Bools, float]]] = {}

    @property
    def mean_talk(self) -> float:
        """The mean number of terms of a talk."""
        lengths = self.layout().talk_lengths
        return float(lengths.sum()) / max(len(lengths), 1)

    def forget(self) -> None:
        """Drop what is held of terms and persons."""
        self._facts.clear()
        self._persons.clear()
        self._held = 0

    def facts(self, word: str) -> TermFacts:
        """Return where a word is. From RAM; else O(df), and what was added since is looked up."""
        found = self._facts.pop(word, None)
        if found is None or len(self) > found.count * (1 + SLACK):
            found = self._facts_of(word)
            self._held += len(found.posting.positions)
        elif len(self) > found.count:
            found = self._with_new(word, found)
        self._facts[word] = found
        while self._held > KEPT and len(self._facts) > 1:
            self._held -= len(self._facts.pop(next(iter(self._facts))).posting.positions)
        return found

    def _facts_of(self, word: str) -> TermFacts:
        posting = self.mapped.posting(word) or Posting(np.zeros(0, np.int32), np.zeros(0, np.float32))
        posting = posting.only(self.alive)
        return self._made(posting, self._talks(posting))

    def _talks(self, posting: Posting) -> int:
        """Return in how many talks a word is, O(df + T); what stands in none counts as one."""
        layout = self.layout()
        seen = np.zeros(len(layout.talk_starts) + 1, dtype=bool)
        seen[layout.talk[posting.positions]] = True
        return int(np.count_nonzero(seen))

    def _with_new(self, word: str, old: TermFacts) -> TermFacts:
        new = self.mapped.posting_since(word, old.count)
        if new is None:
            return TermFacts(len(self), old.posting, old.saturated, old.documents, old.talks)
        joined = Posting(
            np.concatenate([old.posting.positions, new.positions]), np.concatenate([old.posting.counts, new.counts])
        )
        self._held += len(new.positions)
        return self._made(joined, old.talks + self._talks(new), old.saturated)

    def _made(self, posting: Posting, talks: int, known: Floats | None = None) -> TermFacts:
        layout = self.layout()
        start = 0 if known is None else len(known)
        lengths = layout.lengths[0][posting.positions[start:]]
        saturated = saturate(posting.counts[start:], lengths, layout.mean_lengths[0])
        saturated = saturated if known is None else np.concatenate([known, saturated])
        return TermFacts(len(self), posting, saturated, len(posting.positions), talks)

    @contextmanager
    def counted(self, facts: TermFacts) -> Iterator[Floats]:
        """Yield how often each cube has a word, (N,), in an array that is used again afterwards. O(df)."""
        counts = self._zeros()
        counts[facts.posting.positions] = facts.posting.counts
        try:
            yield counts
        finally:
            counts[facts.posting.positions] = 0

    def turns_of(self, talks: Ints) -> tuple[Ints, Longs]:
        """Return the turns of some talks, talk by talk, and where each talk begins among them."""
        layout = self.layout()
        sizes = layout.talk_sizes[talks].astype(np.int64)
        starts = np.cumsum(sizes) - sizes
        places = np.arange(int(sizes.sum())) + np.repeat(layout.talk_starts[talks] - starts, sizes)
        return layout.by_session[places], starts

    def spans_at(self, positions: Longs) -> Longs:
        """Return (place, start, end) of the dates that cubes at ascending positions mention, by place among them."""
        spans = self.spans()
        first, last = (np.searchsorted(spans[:, 0], positions, side) for side in ("left", "right"))
        sizes = last - first
        place = np.repeat(np.arange(len(positions)), sizes)
        rows = np.arange(int(sizes.sum())) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
        return np.column_stack([place, spans[rows, 1:]]) if len(rows) else np.zeros((0, 3), dtype=np.int64)

    def sessions_of(self, person: int) -> tuple[Bools, float]:
        """Return in which sessions a speaker takes part, and the share of cubes in them; a little late in a large space."""
        count, found = self._persons.get(person, (0, None))
        if found is None or len(self) > count * (1 + SLACK) or len(found[0]) <= len(self.session_names):
            found = super().sessions_of(person)
            self._persons[person] = len(self), found
        return found

    def candidates(self, query: Query, shown: Bools) -> Longs:
        """Return the positions of shown cubes that may answer, ascending: by words, by vectors, by persons and the asked time.

        Words are looked for once, O(df); what belongs to a person or a time is taken from what they found.
        """
        worded, near = self._worded(query, shown), self._near(query, shown)
        found = [worded.best(BY_WORDS), near[:BY_VECTORS]]

        def best(belongs: Belongs, count: int, most: int, few: int) -> Longs:
            """Return the best of `count` cubes: of `few` all are compared with the question, else the nearest of all count."""
            closest = near
            if count <= max(few, most):
                every = np.flatnonzero(belongs(slice(None)) & shown)
                if len(every) <= most:
                    return every
                if query.vector is not None and self.compares(query):
                    closest = self._compared(query.vector, every)
            return np.concatenate([worded.only(belongs(worded.places)).best(most), closest[belongs(closest)][:most]])

        if query.span is not None:
            inside = self._in_time(query)
            found.append(best(inside.__getitem__, int(np.count_nonzero(inside & shown)), IN_TIME, COMPARED))
        left = OF_PERSONS
        for person in sorted(self.named(query), key=lambda person: self.known().spoken[person])[:PERSONS]:
            for belongs, count in self._belonging(person):
                found.append(best(belongs, count, OF_SPEAKER, left))
                left = max(left - count, 0)
        return np.unique(np.concatenate(found)).astype(np.int64)

    def _belonging(self, person: int) -> Iterator[tuple[Belongs, int]]:
        """Yield what tells the cubes of a speaker, and those of sessions in which he takes part, with how many they are."""
        yield (lambda at: self.speaker[at] == person), self.known().spoken[person]
        inside, share = self.sessions_of(person)
        if share < HALF:
            session = self.layout().session
            yield (lambda at: inside[session[at]]), int(share * self.count)

    def _near(self, query: Query, shown: Bools) -> Longs:
        """Return the shown cubes nearest to the question, the nearest first: of few all are compared."""
        if query.vector is None or self.near is None or not self.compares(query):
            return np.zeros(0, dtype=np.int64)
        count = int(np.count_nonzero(shown))
        if count <= COMPARED:
            return self._compared(query.vector, np.flatnonzero(shown & self.rows.present))
        found = self.near.search(query.vector, min(int(NEAREST * len(self) / count), MOST)).keys
        found = found[shown[found]]
        return found if len(found) >= FILTERED else self.near.search(query.vector, FILTERED, np.flatnonzero(shown)).keys

    def _compared(self, vector: NDArray[np.floating], positions: Longs) -> Longs:
        cosines = np.vecdot(self.rows.take(positions), vector.astype(np.float32))
        return positions[np.argsort(-cosines, kind="stable")]

    def _worded(self, query: Query, shown: Bools) -> Worded:
        """Return the shown cubes that have rare words of the question, other than names; or its two rarest. O(df)."""
        named = {term for person in self.named(query) for term in self.speaker_terms[person]}
        words = [w for w, term in zip(query.content, to_terms(query.content), strict=True) if term not in named]
        facts = [self.facts(word) for word in words or query.content]
        facts = [f for f in facts if f.documents]
        rare = [f for f in facts if f.documents <= COMMON * self.count]
        facts = rare or sorted(facts, key=lambda f: f.documents)[:2]
        summed = self._zeros()
        for f in facts:
            summed[f.posting.positions] += f.saturated * np.float32(idf(self.count, f.documents))
        places, scores = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.float32)]
        for f in facts:  # a cube with several words is taken with the first of them
            at = f.posting.positions
            score = summed[at]
            summed[at] = 0
            new = (score > 0) & shown[at]
            places.append(at[new])
            scores.append(score[new])
        return Worded(np.concatenate(places), np.concatenate(scores))

    def _zeros(self) -> Floats:
        """Return an array of zeros, at least (N,), that is used again: whoever writes into it restores them."""
        if len(self._counts) < len(self):
            self._counts = np.zeros(len(self) + len(self) // 8, dtype=np.float32)
        return self._counts

    def compares(self, query: Query) -> bool:
        """Tell whether there are vectors that the question's can be compared with."""
        return query.vector is not None and len(query.vector) == self.rows.dimension

    def named(self, query: Query) -> list[int]:
        """Return the speakers whom a question names; none when it names all of them."""
        speaking = self.speakers.values()
        found = [i for i in speaking if self.speaker_terms[i] & query.terms]
        return found if len(found) < len(speaking) else []

    def _in_time(self, query: Query) -> Bools:
        """Return which cubes happened in the time that a question names, or speak of it, (N,)."""
        start, end = query.span or (0, 0)
        inside = (self.at >= start) & (self.at < end)
        dates = self.spans()
        inside[dates[(dates[:, 1] < end) & (dates[:, 2] > start), 0]] = True
        return inside

    def around(self, positions: Longs) -> Longs:
        """Return ascending positions with those next to them, and what stands within reach of all these."""
        layout = self.layout()
        neighbours = layout.neighbours
        beside = np.unique(np.concatenate([positions, neighbours[-1][positions], neighbours[1][positions]]))
        beside = beside[beside >= 0]
        places = [beside, *(a[beside] for a in neighbours.values()), *(a[beside] for a in layout.moments.neighbours)]
        every = np.unique(np.concatenate(places))
        return every[every >= 0].astype(np.int64)
