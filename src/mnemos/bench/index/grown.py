"""Many vectors from few real ones: each is a real text's, moved as far as its real neighbours are from one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnemos.index.base import Floats, Keys, unit

CHUNK = 100_000  # vectors at a time
MOVES = 3  # differences of real neighbours that a vector is moved by, in a random mixture
NEAR = 10  # neighbours of a text whose differences are used


def reduced(texts: Floats, questions: Floats, dimension: int) -> tuple[Floats, Floats]:
    """Return both in the first principal directions of the texts, (N, dimension) and (Q, dimension) of unit length."""
    if dimension >= texts.shape[1]:
        return texts, questions
    values, vectors = np.linalg.eigh(texts.T @ texts)
    axes = vectors[:, np.argsort(-values)[:dimension]].astype(np.float32)
    return unit(texts @ axes), unit(questions @ axes)


@dataclass(frozen=True)
class Grown:
    """A source of vectors that gives the same ones each time.

    A vector is a random real text's plus a random mixture of differences between other texts and their neighbours, scaled
    to the distance of a random text to its nearest neighbour, times `spread`. So it lies in the directions in which real
    texts differ.
    """

    real: Floats  # (N, D)
    neighbours: NDArray[np.int64]  # (N, NEAR)
    apart: Floats  # (N,) distance to the nearest
    total: int
    spread: float
    seed: int = 0

    def chunks(self) -> Iterator[tuple[Keys, Floats]]:
        """Yield keys from 0 and unit vectors, in chunks."""
        for start in range(0, self.total, CHUNK):
            count = min(CHUNK, self.total - start)
            yield np.arange(start, start + count), self.chunk(start // CHUNK)[:count]

    def first(self, total: int) -> Grown:
        """Return a source of the first of these vectors."""
        return replace(self, total=min(total, self.total))

    def everything(self) -> tuple[Keys, Floats]:
        """Return all keys and vectors at once."""
        parts = list(self.chunks())
        return np.concatenate([keys for keys, _ in parts]), np.concatenate([vectors for _, vectors in parts])

    def chunk(self, number: int) -> Floats:
        """Return one chunk of vectors, (CHUNK, D)."""
        rng = np.random.default_rng((self.seed, number))
        move = np.zeros((CHUNK, self.real.shape[1]), dtype=np.float32)
        for _ in range(MOVES):
            of = rng.integers(0, len(self.real), CHUNK)
            other = self.neighbours[of, rng.integers(0, self.neighbours.shape[1], CHUNK)]
            move += rng.standard_normal((CHUNK, 1), dtype=np.float32) * (self.real[of] - self.real[other])
        far = self.spread * self.apart[rng.integers(0, len(self.real), CHUNK), None]
        return unit(self.real[rng.integers(0, len(self.real), CHUNK)] + far * unit(move))


def grow(real: Floats, total: int, spread: float = 1.0, seed: int = 0) -> Grown:
    """Return a source of `total` vectors made from real ones (N, D) of unit length."""
    neighbours = np.empty((len(real), NEAR), dtype=np.int64)
    apart = np.empty(len(real), dtype=np.float32)
    for start in range(0, len(real), 2_000):
        scores = real[start : start + 2_000] @ real.T
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -9
        near = np.argpartition(scores, -NEAR, axis=1)[:, -NEAR:]
        neighbours[start : start + 2_000] = near
        apart[start : start + 2_000] = np.sqrt(np.maximum(2 - 2 * scores.max(axis=1), 0))
    return Grown(real, neighbours, apart, total, spread, seed)
