"""A query head: a small map of the question's vector, learned from use; the stored vectors stay as they are."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mnemos.embed.base import unit_rows
from mnemos.index.adam import Adam
from mnemos.text.recall.base import Floats, Ints
from mnemos.text.recall.learning import through_unit


@dataclass(frozen=True, slots=True)
class QueryHead:
    """q' = unit(q + shift + (q down) up): a residual of low rank, which at first changes nothing.

    R (2 D + 1) multiplications a question, some 20 us for D = 384 and R = 32.
    """

    down: Floats  # (D, R)
    up: Floats  # (R, D)
    shift: Floats  # (D,)

    def __call__(self, questions: Floats) -> Floats:
        """Return the mapped vectors, (n, D), of unit length."""
        return unit_rows(questions + self.shift + (questions @ self.down) @ self.up)

    def to_json(self) -> dict[str, str]:
        """Return the arrays as base64 of float16."""
        return {
            name: base64.b64encode(getattr(self, name).astype("<f2").tobytes()).decode()
            for name in ("down", "up", "shift")
        }

    @staticmethod
    def from_json(data: Mapping[str, Any], dimension: int) -> QueryHead:
        """Return the head that `to_json` wrote. Raises ValueError for arrays of another shape, or that are not finite."""
        raw = {
            name: np.frombuffer(base64.b64decode(data[name], validate=True), "<f2") for name in ("down", "up", "shift")
        }
        if not all(np.isfinite(a).all() for a in raw.values()) or len(raw["shift"]) != dimension:
            raise ValueError("the arrays of a query head are of another shape, or not finite")
        return QueryHead(
            raw["down"].astype(np.float32).reshape(dimension, -1),
            raw["up"].astype(np.float32).reshape(-1, dimension),
            raw["shift"].astype(np.float32),
        )


@dataclass
class HeadTower:
    """The questions of a training as a tower: their own vectors, and a head that learns."""

    questions: Floats  # (Q, D), of unit length
    rank: int = 32  # of the residual
    rate: float = 3e-3
    decay: float = 1.0  # pulls the head towards changing nothing
    seed: int = 0
    trained: bool = True
    _down: Adam = field(init=False)
    _up: Adam = field(init=False)
    _shift: Adam = field(init=False)

    def __post_init__(self) -> None:
        rng, size = np.random.default_rng(self.seed), self.questions.shape[1]
        down = rng.normal(0, 1 / math.sqrt(size), (size, self.rank)).astype(np.float32)
        self._down = Adam(down, self.rate)
        self._up = Adam(np.zeros((self.rank, size), np.float32), self.rate, self.decay)
        self._shift = Adam(np.zeros(size, np.float32), self.rate / 10, self.decay)

    def __len__(self) -> int:
        return len(self.questions)

    def head(self) -> QueryHead:
        """Return the head as it is now."""
        return QueryHead(self._down.value.copy(), self._up.value.copy(), self._shift.value.copy())

    def vectors(self, at: Ints | None = None) -> Floats:
        """Return the mapped vectors of some questions, or of all."""
        return QueryHead(self._down.value, self._up.value, self._shift.value)(
            self.questions if at is None else self.questions[at]
        )

    def learn(self, at: Ints, gradient: Floats) -> None:
        """Take one step of the head."""
        q = self.questions[at]
        low = q @ self._down.value
        raw = through_unit(q + self._shift.value + low @ self._up.value, gradient)
        back = raw @ self._up.value.T
        self._up.step(np.asarray(low.T @ raw, dtype=np.float32))
        self._down.step(np.asarray(q.T @ back, dtype=np.float32))
        self._shift.step(np.asarray(raw.sum(axis=0), dtype=np.float32))
