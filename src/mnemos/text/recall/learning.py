"""Training of the question side: a loss over pairs of an answer and a negative, and gradients by hand.

    score(q, d) = q . d / T            T: temperature
    loss = mean over pairs of w log(1 + exp(score(q, negative) - score(q, answer)))

`w` is 1, or for `by_metric` what swapping the two would change in the reciprocal rank (LambdaRank). Burges, From RankNet
to LambdaRank to LambdaMART (2010). No library: one product of matrices a step, and Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.base import Draw, Floats, Ints, Negatives, Tower


@dataclass(frozen=True, slots=True)
class Fixed:
    """A tower that does not learn: the stored vectors of texts."""

    rows: Floats  # (N, D)

    @property
    def trained(self) -> bool:
        """Never."""
        return False

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.rows)

    def vectors(self, at: Ints | None = None) -> Floats:
        """Return the vectors."""
        return self.rows if at is None else self.rows[at]

    def learn(self, at: Ints, gradient: Floats) -> None:
        """Change nothing."""


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how fast a tower is trained."""

    steps: int = 300
    batch: int = 32
    temperature: float = 0.05
    seed: int = 0


def train(
    questions: Tower,
    texts: Tower,
    gold: Sequence[Ints],
    negatives: Negatives,
    how: Training,
    watch: Callable[[int, Ints], None] | None = None,
) -> None:
    """Train the towers on questions with the positions that answer them.

    `watch` is called with the number of steps done and the negatives of all questions whenever those were drawn for all,
    and at the end. Costs O(steps batch (N + n) D) where negatives are drawn at every step.
    """
    rng = np.random.default_rng(how.seed)
    rows = np.arange(len(gold))
    drawn: Ints = np.full((len(gold), 1), -1, dtype=np.int64)
    order = np.zeros(0, dtype=np.int64)
    for step in range(how.steps):
        whole = negatives.every != 1 and (step == 0 or (negatives.every > 0 and step % negatives.every == 0))
        if whole:
            drawn = negatives.draw(Draw(questions.vectors(), texts, gold, drawn, rng))
            if watch is not None:
                watch(step, drawn)
        if len(order) < min(how.batch, len(rows)):
            order = np.concatenate([order, rng.permutation(rows)])
        batch, order = np.unique(order[: how.batch]), order[how.batch :]
        asked, answers = questions.vectors(batch), np.array([rng.choice(gold[i]) for i in batch])
        if negatives.every == 1:
            own = negatives.draw(Draw(asked, texts, [gold[i] for i in batch], drawn[batch], rng))
        else:
            own = drawn[batch]
        if negatives.in_batch:
            own = np.concatenate([own, _others(batch, answers, gold)], axis=1)
        _step(questions, texts, (batch, asked), answers, own, how.temperature, negatives.by_metric)
    if watch is not None:
        watch(how.steps, drawn)


def _others(batch: Ints, answers: Ints, gold: Sequence[Ints]) -> Ints:
    """Return the answers of the other questions of a batch, (B, B); -1 for those that answer this one too."""
    found = np.tile(answers, (len(batch), 1))
    for row, i in zip(found, batch, strict=True):
        row[(row[:, None] == gold[i]).any(axis=1)] = -1
    return found


def _step(
    questions: Tower,
    texts: Tower,
    asked: tuple[Ints, Floats],
    answers: Ints,
    negatives: Ints,
    temperature: float,
    by_metric: bool,
) -> None:
    """Take one step of both towers."""
    batch, q = asked
    there = negatives >= 0
    right, wrong = texts.vectors(answers), texts.vectors(np.maximum(negatives, 0).reshape(-1))
    wrong = wrong.reshape(*negatives.shape, -1)
    positive = np.vecdot(q, right)  # (B,)
    negative = np.einsum("bd,bnd->bn", q, wrong)
    gap = np.clip((negative - positive[:, None]) / temperature, -30, 30)
    weight = there.astype(np.float32)
    if by_metric:
        every = q @ texts.vectors().T
        rank = 1 + (every > positive[:, None]).sum(axis=1, keepdims=True)
        weight = weight * np.abs(1 / rank - 1 / _ranks(every, negative))
    push = weight / (1 + np.exp(-gap)) / (temperature * max(len(batch), 1))  # d loss / d negative score
    push = (push / (1.0 if by_metric else np.maximum(there.sum(axis=1, keepdims=True), 1))).astype(np.float32)
    pull = push.sum(axis=1, keepdims=True)
    questions.learn(batch, np.einsum("bn,bnd->bd", push, wrong) - pull * right)
    if texts.trained:
        at = np.concatenate([answers, negatives[there]])
        texts.learn(at, np.concatenate([-pull * q, (push[:, :, None] * q[:, None, :])[there]]))


def _ranks(every: Floats, scores: Floats) -> Ints:
    """Return the rank that each score, (B, n), has among those of all texts, (B, N)."""
    return np.stack(
        [
            1 + len(row) - np.searchsorted(np.sort(row), own, side="right")
            for row, own in zip(every, scores, strict=True)
        ]
    ).astype(np.int64)


def through_unit(raw: NDArray[np.floating], gradient: Floats) -> Floats:
    """Return the gradient by rows before they were scaled to length 1, given that by the scaled ones."""
    length = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)
    unit = raw / length
    return np.asarray((gradient - np.vecdot(gradient, unit)[:, None] * unit) / length, dtype=np.float32)


def reciprocal_ranks(questions: Floats, texts: Floats, gold: Sequence[Ints], most: int = 10) -> Floats:
    """Return 1 / rank of the first answer of each question by cosine, (Q,); 0 behind `most`."""
    found = np.zeros(len(questions), dtype=np.float32)
    for i, (q, own) in enumerate(zip(questions, gold, strict=True)):
        scores = texts @ q
        rank = 1 + int((scores > scores[own].max()).sum())
        found[i] = 1 / rank if rank <= most else 0
    return found
