"""Vectors without a model, for filling a large space in minutes: at random, or in clusters as those of real texts lie."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.embed import Embedder

Floats = NDArray[np.float32]
SHARED = 0.7  # cosine of a text with the centre of its topic, about
FLAT = 0.5  # exponent by which the directions in which texts of a topic differ lose weight


class RandomVectors:
    """An embedder under another one's name that draws unit vectors at random, (N, D) float32, whatever the texts."""

    def __init__(self, model: Embedder, seed: int = 0) -> None:
        self.name, self.revision, self.dimension = model.name, model.revision, model.dimension
        self.rng = np.random.default_rng(seed)

    def embed(self, texts: Sequence[str], *, progress: Any = None) -> Floats:
        """Return one random unit vector a text."""
        vectors = self.rng.standard_normal((len(texts), self.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if progress is not None:
            progress(len(texts))
        return vectors


class ClusteredVectors:
    """An embedder under another one's name whose unit vectors, (N, D) float32, follow from the texts alone.

    The longest word of a text is its topic; a vector is the centre of the topic and, with less weight in each further
    direction, what the text draws for itself. A single text is embedded by the model too, for the time that takes.
    """

    def __init__(self, model: Embedder, seed: int = 0) -> None:
        self.name, self.revision, self.dimension = model.name, model.revision, model.dimension
        self._model, self._seed = model, seed
        basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((self.dimension, self.dimension)))[0]
        self._basis = (basis.T * (np.arange(1, self.dimension + 1) ** -FLAT)[:, None]).astype(np.float32)

    def embed(self, texts: Sequence[str], *, progress: Any = None) -> Floats:
        """Return the vector of each text: the same one for the same text."""
        if len(texts) == 1:
            self._model.embed(texts)
        topics = [max(text.lower().strip(".?").split(), key=lambda w: (len(w), w), default="") for text in texts]
        vectors = SHARED * self._drawn(topics) + np.float32((1 - SHARED**2) ** 0.5) * self._drawn(texts)
        if progress is not None:
            progress(len(texts))
        return self._unit(vectors)

    def _drawn(self, names: Sequence[str]) -> Floats:
        """Return a unit vector a name, (N, D), drawn with the name as the seed."""
        numbers = [zlib.crc32(name.encode(), self._seed) for name in names]
        rows = [np.random.default_rng(number).standard_normal(self.dimension, dtype=np.float32) for number in numbers]
        return self._unit(np.array(rows, dtype=np.float32).reshape(-1, self.dimension) @ self._basis)

    @staticmethod
    def _unit(vectors: Floats) -> Floats:
        found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return found
