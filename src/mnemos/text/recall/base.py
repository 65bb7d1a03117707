"""The contract of what a query head is trained against: which texts are drawn as negatives, and when anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Tower(Protocol):
    """Vectors of unit length that can learn, (n, D)."""

    @property
    def trained(self) -> bool:
        """Whether `learn` changes them."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def vectors(self, at: Ints | None = None) -> Floats:
        """Return the vectors of some rows, or of all."""

    def learn(self, at: Ints, gradient: Floats) -> None:
        """Take one step against the gradient of the loss by the vectors of some rows, (len(at), D)."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What negatives are drawn from: B questions, N texts, vectors of D numbers and unit length."""

    questions: Floats  # (B, D) as the model embeds them now
    texts: Tower  # of the N texts
    gold: Sequence[Ints]  # B arrays of positions that answer
    before: Ints  # (B, n) what each question had until now; -1 where it had none
    rng: np.random.Generator

    def nearest(self, vectors: Floats, n: int) -> Ints:
        """Return for each question the n texts nearest to its row of `vectors`, (B, D), gold left out; -1 behind the last."""
        found = np.full((len(vectors), n), -1, dtype=np.int64)
        scores = vectors @ self.texts.vectors().T
        for row, (own, gold) in enumerate(zip(scores, self.gold, strict=True)):
            own[gold] = -np.inf
            kept = min(n, len(own) - len(gold))
            best = np.argpartition(-own, kept - 1)[:kept] if kept else np.zeros(0, dtype=np.int64)
            found[row, :kept] = best[np.argsort(-own[best], kind="stable")]
        return found


@runtime_checkable
class Negatives(Protocol):
    """Draws, for each question, texts that do not answer it, for a model to be trained against."""

    @property
    def every(self) -> int:
        """Steps after which they are drawn anew; 0: once, before the first step."""

    @property
    def in_batch(self) -> bool:
        """Whether the answers of the other questions of a batch are negatives too."""

    @property
    def by_metric(self) -> bool:
        """Whether a pair counts by what swapping it would change in the reciprocal rank (LambdaRank)."""

    def draw(self, draw: Draw) -> Ints:
        """Return (B, n) positions, none of which is gold; -1 where there is none. Changes nothing."""


KINDS: dict[str, type] = {"negatives": Negatives}
