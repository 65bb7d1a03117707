"""Signs in random directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.index.base import Floats
from mnemos.index.codes.bits import BitCoder, bits_of, rotation
from mnemos.registry import Paper, register


@register(
    "sign-random",
    papers=(Paper("Similarity Estimation Techniques from Rounding Algorithms"),),
    task="codes",
)
@dataclass(frozen=True, slots=True)
class SignRandom:
    """Keep the signs in orthogonal random directions: needs no fitting beyond the mean."""

    bytes: int = 48  # a vector
    seed: int = 0  # of the directions

    def fit(self, vectors: Floats, questions: Floats | None = None) -> BitCoder:
        """Return random directions, orthogonal in blocks of D."""
        bits, width = bits_of(self.bytes), vectors.shape[1]
        blocks = [rotation(width, self.seed + i) for i in range(-(-bits // width))]
        return BitCoder(np.concatenate(blocks, axis=1)[:, :bits], vectors.mean(axis=0))
