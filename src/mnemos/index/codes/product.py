"""Product quantisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.errors import InvalidInput
from mnemos.index.base import Floats
from mnemos.index.codes.base import Arrays, Bytes
from mnemos.registry import Paper, register

LEVELS = 256  # centroids a part: one byte
SAMPLE = 10_000  # vectors that the centroids are fitted to
BLOCK = 8_192  # vectors that are encoded at a time


@dataclass(frozen=True, slots=True)
class ProductCoder:
    """Names the nearest centroid of each part of a vector; a query is compared with the centroids."""

    centroids: Floats  # (B, 256, D / B), by which a code is compared
    assign: Floats  # (B, 256, D / B), by which a code is chosen: the same unless centroids were trained afterwards
    turn: Floats  # (D, D), applied to a query

    def encode(self, vectors: Floats) -> Bytes:
        """Return the numbers of the nearest centroids, (N, B)."""
        return _nearest(vectors, self.assign)

    def scores(self, codes: Bytes, query: Floats) -> Floats:
        """Return the products of the centroids with the query."""
        parts = np.einsum("bld,bd->bl", self.centroids, (query @ self.turn).reshape(len(self.centroids), -1))
        found = np.zeros(len(codes), dtype=np.float32)
        for place, products in enumerate(parts):
            found += products[codes[:, place]]
        return found

    def arrays(self) -> Arrays:
        """Return the centroids and the map of queries."""
        return {"centroids": self.centroids, "assign": self.assign, "turn": self.turn}


def _nearest(vectors: Floats, centroids: Floats) -> Bytes:
    codes = np.empty((len(vectors), len(centroids)), dtype=np.uint8)
    parts = vectors.reshape(len(vectors), len(centroids), -1)
    for place, levels in enumerate(centroids):
        half = (levels**2).sum(axis=1) / 2
        for start in range(0, len(vectors), BLOCK):
            block = parts[start : start + BLOCK, place]
            codes[start : start + BLOCK, place] = (half - block @ levels.T).argmin(axis=1)
    return codes


@register(
    "pq",
    papers=(Paper("Product Quantization for Nearest Neighbor Search"),),
    task="codes",
    baselines=("sign-pca", "scalar"),
)
@dataclass(frozen=True, slots=True)
class PQ:
    """Cut a vector into parts and name the nearest of 256 centroids of each part, one byte a part."""

    bytes: int = 48  # a vector, and parts it is cut into
    rounds: int = 12  # of k-means in each part
    seed: int = 0  # of the first centroids

    def fit(self, vectors: Floats, questions: Floats | None = None) -> ProductCoder:
        """Return the centroids of each part. Raises InvalidInput for fewer than 256 vectors, or a part that is no whole."""
        width = vectors.shape[1]
        if len(vectors) < LEVELS or width % self.bytes:
            raise InvalidInput(
                f"{len(vectors)} vectors of {width} numbers in {self.bytes} bytes: give {LEVELS} vectors or more, and a"
                f" number of bytes that divides {width}."
            )
        rng = np.random.default_rng(self.seed)
        rows = vectors[rng.choice(len(vectors), min(len(vectors), SAMPLE), replace=False)]
        parts = rows.reshape(len(rows), self.bytes, -1)
        centroids = parts[rng.choice(len(rows), LEVELS, replace=False)].transpose(1, 0, 2).copy()
        for _ in range(self.rounds):
            codes = _nearest(rows, centroids)
            for place in range(self.bytes):
                counts = np.bincount(codes[:, place], minlength=LEVELS)
                for number in range(parts.shape[2]):
                    sums = np.bincount(codes[:, place], weights=parts[:, place, number], minlength=LEVELS)
                    centroids[place, counts > 0, number] = (sums / np.maximum(counts, 1))[counts > 0]
        return ProductCoder(centroids, centroids, np.eye(width, dtype=np.float32))
