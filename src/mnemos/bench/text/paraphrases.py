"""A synthetic corpus in which questions paraphrase texts: no word of a question is in its text, and a small encoder.

Each concept has a word that texts use and two that questions use. Concepts belong to topics, so that the wrong texts of
a topic are near. A question names three of the five concepts of its text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.index.adam import Adam
from mnemos.text.recall.base import Floats, Ints
from mnemos.text.recall.learning import through_unit

IN_TEXT, ASKED, FILLERS = 5, 3, 3  # concepts of a text, concepts of a question, fillers of either


@dataclass(frozen=True, slots=True)
class Paraphrases:
    """Texts and questions as words by number, and the text that answers each question."""

    texts: Ints  # (N, words)
    questions: Ints  # (Q, words)
    gold: list[Ints]
    words: int  # in the vocabulary
    concepts: int


def make(seed: int, texts: int = 2_000, questions: int = 3_500, topics: int = 30, concepts: int = 10) -> Paraphrases:
    """Return a corpus; the last questions are of texts like all others."""
    rng = np.random.default_rng(seed)
    known, fillers = topics * concepts, 200
    topic = rng.integers(0, topics, texts)
    of_text = np.stack([t * concepts + rng.choice(concepts, IN_TEXT, replace=False) for t in topic])
    lost = rng.random(of_text.shape) < 0.2  # concepts of other topics
    of_text[lost] = rng.integers(0, known, int(lost.sum()))
    filler = rng.integers(0, fillers, (texts, FILLERS)) + 3 * known
    gold = rng.integers(0, texts, questions)
    asked = np.stack([rng.choice(of_text[g], ASKED, replace=False) for g in gold])
    words = known * (1 + rng.integers(0, 2, asked.shape)) + asked
    other = rng.integers(0, fillers, (questions, FILLERS)) + 3 * known
    return Paraphrases(
        np.concatenate([of_text, filler], axis=1),
        np.concatenate([words, other], axis=1),
        [np.array([g]) for g in gold],
        3 * known + fillers,
        known,
    )


@dataclass
class BagOfWords:
    """A small encoder: the mean of the vectors of the words, scaled to length 1. Towers may share a table."""

    rows: Ints  # (n, words) of each text
    table: Adam  # (V, D) the vectors of the words
    trained: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def vectors(self, at: Ints | None = None) -> Floats:
        """Return the vectors of some texts, or of all."""
        raw = self.table.value[self.rows if at is None else self.rows[at]].mean(axis=1)
        return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9), dtype=np.float32)

    def learn(self, at: Ints, gradient: Floats) -> None:
        """Take one step of the table."""
        words = self.rows[at]
        back = through_unit(self.table.value[words].mean(axis=1), gradient) / words.shape[1]
        total = np.zeros_like(self.table.value)
        order = np.argsort(words.reshape(-1), kind="stable")
        there, starts = np.unique(words.reshape(-1)[order], return_index=True)
        total[there] = np.add.reduceat(back[order // words.shape[1]], starts)
        self.table.step(total)


def new_table(words: int, dimension: int, rate: float, seed: int) -> Adam:
    """Return a table of random vectors of words."""
    values = np.random.default_rng(seed).normal(0, 1, (words, dimension)).astype(np.float32)
    return Adam(values, rate)


def short_questions(corpus: Paraphrases, seed: int, count: int = 600) -> tuple[Ints, list[Ints]]:
    """Return questions of one concept and a filler, (count, 2), and the texts that have the concept: short, with many answers."""
    rng = np.random.default_rng(seed)
    known = corpus.concepts
    answers = {c: np.flatnonzero((corpus.texts == c).any(axis=1)) for c in range(known)}
    asked = rng.choice([c for c, found in answers.items() if len(found) > 1], count)
    words = known * (1 + rng.integers(0, 2, count)) + asked
    fillers = rng.integers(3 * known, corpus.words, count)
    return np.stack([words, fillers], axis=1), [answers[int(c)] for c in asked]
