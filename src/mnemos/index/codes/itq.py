"""Iterative quantisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.index.base import Floats
from mnemos.index.codes.bits import BitCoder, bits_of, principal, rotation
from mnemos.registry import Paper, register

SAMPLE = 10_000  # vectors that the rotation is fitted to


@register(
    "itq",
    papers=(
        Paper(
            "Iterative Quantization: A Procrustean Approach to Learning Binary Codes for Large-Scale Image Retrieval"
        ),
    ),
    task="codes",
    baselines=("sign-pca", "sign-random"),
)
@dataclass(frozen=True, slots=True)
class ITQ:
    """Rotate the principal directions until the vectors lie near the corners of a cube, and keep the signs."""

    bytes: int = 48  # a vector
    rounds: int = 50  # of signs and rotation in turn, the paper's
    seed: int = 0  # of the first rotation

    def fit(self, vectors: Floats, questions: Floats | None = None) -> BitCoder:
        """Return the rotated directions: minimises |sign(V R) - V R| over rotations R."""
        axes, centre = principal(vectors, bits_of(self.bytes))
        step = max(len(vectors) // SAMPLE, 1)
        projected = (vectors[::step] - centre) @ axes
        turn = rotation(axes.shape[1], self.seed)
        for _ in range(self.rounds):
            u, _, vt = np.linalg.svd(np.sign(projected @ turn).T @ projected)
            turn = (u @ vt).T
        return BitCoder(axes @ turn, centre)
