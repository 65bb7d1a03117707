"""A linear map from the vectors of one embedding model to those of another, fitted on texts that have both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.base import Vectors, unit_rows
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

PENALTY = 1.0  # of the ridge regression, on vectors of length 1


@register(
    "vector-map",
    papers=(
        Paper(
            "CL2R: Compatible Lifelong Learning Representations",
            "2211.09032",
            "NiccoBiondi/CompatibleLifelongRepresentation",
        ),
    ),
    task="new questions, old vectors",
)
@dataclass(frozen=True)
class VectorMap:
    """Maps stored vectors to the space of a new model, so that its questions find texts that were not embedded again (ours).

    W = argmin |X W - Y|^2 + penalty |W|^2 over vectors X (n, D) of the old model and Y (n, E) of the new one, of the same texts.
    The paper keeps an encoder compatible while it is trained (`compatible-update`); here both models are given. A few
    thousand texts are enough for models of 384 numbers; below n = D the map is poor.
    """

    weights: NDArray[np.float64]  # (D, E)

    @classmethod
    def fit(cls, old: Vectors, new: Vectors, penalty: float = PENALTY) -> Self:
        """Return the map of rows `old` (n, D) to rows `new` (n, E). Raises InvalidInput where rows do not pair up, or none."""
        if len(old) != len(new) or not len(old):
            raise InvalidInput(f"there are {len(old)} old and {len(new)} new vectors: give both of the same texts.")
        x, y = old.astype(np.float64), new.astype(np.float64)
        return cls(np.asarray(np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y), np.float64))

    def __call__(self, old: Vectors) -> Vectors:
        """Return unit vectors (n, E) of the new model for rows (n, D) of the old one."""
        return unit_rows(old.astype(np.float64) @ self.weights)
