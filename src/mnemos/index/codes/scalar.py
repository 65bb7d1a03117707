"""Eight bits a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.index.base import Floats
from mnemos.index.codes.base import Arrays, Bytes
from mnemos.registry import register

TAIL = 0.001  # the share of numbers at either end that are cut


@dataclass(frozen=True, slots=True)
class ScalarCoder:
    """Rounds each number to one of 256 levels of its place in the vector."""

    low: Floats  # (D,)
    step: Floats  # (D,)

    def encode(self, vectors: Floats) -> Bytes:
        """Return the levels, (N, D)."""
        levels: Bytes = np.rint((vectors - self.low) / self.step).clip(0, 255).astype(np.uint8)
        return levels

    def scores(self, codes: Bytes, query: Floats) -> Floats:
        """Return the products of the rounded vectors with the query."""
        found: Floats = codes.astype(np.float32) @ (query * self.step) + self.low @ query
        return found

    def arrays(self) -> Arrays:
        """Return the levels of each place."""
        return {"low": self.low, "step": self.step}


@register("scalar", task="codes")
@dataclass(frozen=True, slots=True)
class Scalar:
    """Round each number to eight bits between the ends of its range: the textbook's code, a quarter of the bytes."""

    def fit(self, vectors: Floats, questions: Floats | None = None) -> ScalarCoder:
        """Return the range of each place, without the outermost thousandth."""
        low, high = np.quantile(vectors, [TAIL, 1 - TAIL], axis=0).astype(np.float32)
        return ScalarCoder(low, np.maximum((high - low) / 255, np.float32(1e-6)))
