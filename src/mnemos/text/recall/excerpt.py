"""An excerpt of a large corpus: a few thousand cubes with what scoring has to know of all others.

What a question ranks is decided by a few cubes: those that have its words, those that mean the like, and those that stand
beside them. They are scored by the signals of a small space, with the frequencies, lengths and cosines of the whole one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnemos.index.exact import ExactIndex
from mnemos.index.lexical import LexicalIndex, Posting, idf, saturate
from mnemos.text.recall.corpus import Corpus, Floats, Longs
from mnemos.text.recall.mapped import MappedCorpus
from mnemos.text.recall.moments import local
from mnemos.text.recall.postings import TermPosting
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import parts_of

COLUMNS = (
    "keys", "alive", "superseded", "archived", "derived", "at", "learned", "replaced", "speaker", "user", "assistant",
    "question", "number", "dated",
)  # fmt: skip


class Excerpt(Corpus):
    """The cubes of a large corpus at a few ascending positions, (M,), read for one question."""

    def __init__(self, whole: MappedCorpus, positions: Longs, query: Query) -> None:
        super().__init__(LocalWords(whole, positions), ExactIndex())
        self._whole = whole
        for name in COLUMNS:
            setattr(self, name, getattr(whole, name)[positions])
        if whole.compares(query):
            self.vectors = ExactIndex.of(whole.vectors.take(positions), whole.vectors.present[positions])
        else:
            self.vectors.add([None] * len(positions))
        self.count, self._known = whole.count, whole.known()
        self.session_names, self.speaker_terms = whole.session_names, whole.speaker_terms
        self._layout = whole.layout().part(positions)
        self._dates = whole.spans_at(positions)
        self._common = 0.0  # mean share of the question's weight that any cube has
        self._score(query, positions)

    def _score(self, query: Query, positions: Longs) -> None:
        """Put what the words of the question add into the cache of terms."""
        whole, layout = self._whole, self.layout()
        talks = whole.layout().talk[positions[layout.by_session[layout.talk_starts]]]
        members, starts = whole.turns_of(talks)
        total = 1e-9
        for word in dict.fromkeys(query.content):
            facts = whole.facts(word)
            weight, talk_weight = idf(self.count, facts.documents), idf(len(whole.layout().talk_starts), facts.talks)
            with whole.counted(facts) as counts:
                here, there = counts[positions], counts[members]
            where = np.flatnonzero(here).astype(np.int32)
            parts = parts_of(layout, Posting(where, here[where]), weight, len(positions))
            summed = np.add.reduceat(there, starts) if len(starts) else there
            inside = np.flatnonzero(summed)
            part = talk_weight * saturate(summed[inside], layout.talk_lengths[inside], whole.mean_talk)
            self.terms.put(word, TermPosting(weight, parts, talk_weight, (inside, part)))
            self._common += weight * float(facts.saturated.sum()) / max(self.count, 1)
            total += weight
        self._common /= total

    def spans(self) -> Longs:
        """Return (position, start, end) of each date that a text mentions, (M, 3)."""
        return self._dates

    def sessions_of(self, person: int) -> tuple[NDArray[np.bool_], float]:
        """Return in which sessions of the whole corpus a speaker takes part, and the share of cubes in them."""
        return self._whole.sessions_of(person)

    def mean(self, near: Floats, places: int) -> float:
        """Return about the mean, over all cubes, of what stands near each."""
        return min(places * self._common, float(near.mean()))

    def spread(self, query: NDArray[np.floating]) -> tuple[float, float] | None:
        """Return the mean and the deviation of the cosines with all cubes."""
        return self._whole.rows.spread(query)

    def centre(self) -> Floats | None:
        """Return the mean vector of all cubes, (D,)."""
        rows = self._whole.rows
        return (rows.total / max(int(rows.present.sum()), 1)).astype(np.float32)


class LocalWords(LexicalIndex):
    """The words of a few documents of a larger index, at ascending numbers."""

    def __init__(self, whole: MappedCorpus, documents: Longs) -> None:
        super().__init__()
        self._whole, self._documents = whole, documents.astype(np.int32)

    def posting(self, word: str, alive: NDArray[np.bool_] | None = None) -> Posting | None:
        """Return which of the documents have a word."""
        found = self._whole.words.posting(word)
        if found is None or not len(found.positions):
            return None
        where = local(self._documents, found.positions.astype(np.int64))
        here = np.flatnonzero(where >= 0).astype(np.int32)
        return Posting(here, found.counts[where[here]])
