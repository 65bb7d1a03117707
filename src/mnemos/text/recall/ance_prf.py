"""ANCE-PRF: a question encoder that is trained to read the question together with what it found first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from mnemos.embed.base import unit_rows
from mnemos.index.adam import Adam
from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.base import Floats, Ints
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.learning import through_unit
from mnemos.text.recall.query import Query
from mnemos.text.recall.rocchio import best_of


@dataclass(frozen=True, slots=True)
class FeedbackHead:
    """q' = unit(q + m + ([q; m] down) up), with m the sum of the texts that were found, each by the weight of its rank."""

    weights: Floats  # (k,)
    down: Floats  # (2 D, R)
    up: Floats  # (R, D)

    def raw(self, questions: Floats, found: Floats) -> tuple[Floats, Floats]:
        """Return q' before it is scaled, (n, D), and [q; m], (n, 2 D); `found` is (n, up to k, D)."""
        mean = np.einsum("k,nkd->nd", self.weights[: found.shape[1]], found)
        both = np.concatenate([questions, mean], axis=1)
        return questions + mean + (both @ self.down) @ self.up, both

    def __call__(self, questions: Floats, found: Floats) -> Floats:
        """Return the vectors of questions with what they found, (n, D), of unit length."""
        return unit_rows(self.raw(questions, found)[0])


@dataclass
class FeedbackTower:
    """Questions with what they found as a tower: a head that learns, at first one that changes nothing."""

    questions: Floats  # (Q, D), of unit length
    found: Floats  # (Q, k, D) the best texts of the first ranking
    rank: int = 32
    rate: float = 3e-3
    decay: float = 1.0  # pulls the head towards changing nothing
    seed: int = 0
    trained: bool = True
    _parts: tuple[Adam, Adam, Adam] = field(init=False)

    def __post_init__(self) -> None:
        size, k = self.questions.shape[1], self.found.shape[1]
        down = np.random.default_rng(self.seed).normal(0, size**-0.5, (2 * size, self.rank)).astype(np.float32)
        self._parts = (
            Adam(np.zeros(k, np.float32), self.rate),
            Adam(down, self.rate),
            Adam(np.zeros((self.rank, size), np.float32), self.rate, self.decay),
        )

    def __len__(self) -> int:
        return len(self.questions)

    def head(self) -> FeedbackHead:
        """Return the head as it is now."""
        weights, down, up = (part.value.copy() for part in self._parts)
        return FeedbackHead(weights, down, up)

    def vectors(self, at: Ints | None = None) -> Floats:
        """Return the vectors of some questions, or of all."""
        return self.head()(*((self.questions, self.found) if at is None else (self.questions[at], self.found[at])))

    def learn(self, at: Ints, gradient: Floats) -> None:
        """Take one step of the head."""
        head, (weights, down, up) = self.head(), self._parts
        raw, both = head.raw(self.questions[at], self.found[at])
        back = through_unit(raw, gradient)
        low = back @ head.up.T
        mean = back + (low @ head.down.T)[:, self.questions.shape[1] :]
        up.step(np.asarray((both @ head.down).T @ back, dtype=np.float32))
        down.step(np.asarray(both.T @ low, dtype=np.float32))
        weights.step(np.asarray(np.einsum("nd,nkd->k", mean, self.found[at]), dtype=np.float32))


@register(
    "ance-prf",
    papers=(
        Paper(
            "Improving Query Representations for Dense Retrieval with Pseudo Relevance Feedback",
            "2108.13454",
            code="yuhongqian/ANCE-PRF",
        ),
    ),
    baselines=("cosine", "rocchio"),
)
@dataclass(frozen=True, slots=True)
class AncePrf:
    """Rank by cosine, let a trained head read the question with the k best texts, and rank again.

    The vectors of the texts stay as they are. Without a head it is the cosine. Deviation: the paper fine-tunes the encoder on
    the texts, one after another; here a head of low rank reads their vectors, so that no text is encoded again. Two passes
    over the vectors.
    """

    k: int = 3  # texts of the first ranking that are read
    head: FeedbackHead | None = None  # as `FeedbackTower` learns it

    uses_vector: ClassVar[bool] = True

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 where the question or a cube has no vector."""
        first = Cosine().rank(view, query)
        if query.vector is None or self.head is None:
            return first
        best = best_of(first.scores, view.corpus.vectors.present, self.k)
        if not len(best):
            return first
        question = unit_rows(np.asarray(query.vector, np.float32)[None])
        return Cosine().rank(view, replace(query, vector=self.head(question, view.corpus.vectors.rows[best][None])[0]))
