"""Adam without a library for training: small maps are learned by gradients that are written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mnemos.index.base import Floats


@dataclass
class Adam:
    """Adam for one array; Kingma and Ba (arXiv 1412.6980)."""

    value: Floats
    rate: float
    decay: float = 0.0  # share of the value that is taken away at each step, times the rate
    _mean: Floats = field(init=False)
    _square: Floats = field(init=False)
    _steps: int = 0

    def __post_init__(self) -> None:
        self._mean, self._square = np.zeros_like(self.value), np.zeros_like(self.value)

    def step(self, gradient: Floats) -> None:
        """Take one step against a gradient."""
        self._steps += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient**2 - self._square)
        mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
        self.value *= 1 - self.rate * self.decay
        self.value -= self.rate * mean / (np.sqrt(square) + 1e-8)
