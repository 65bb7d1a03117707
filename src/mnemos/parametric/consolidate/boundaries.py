"""Where a stream changes: for strategies that need tasks on a stream that names none."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.errors import InvalidInput


@dataclass
class LossJump:
    """Says that a task begins where the loss of a batch, before it is learned, is far above those before.

    A batch is far above if it exceeds the moving mean of the loss by `deviations` moving deviations; at least `wait` batches lie
    between two beginnings. Costs one more pass forward a batch. (After the plateau detector of task-free continual
    learning, arXiv 1812.03596.)
    """

    deviations: float = 4.0  # how far above the mean
    decay: float = 0.95  # of the moving mean and deviation
    wait: int = 50  # batches
    mean: float = field(init=False, default=0.0)
    square: float = field(init=False, default=0.0)  # moving mean of the squared distance to the mean
    since: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1 or self.wait < 1:
            raise InvalidInput(
                f"decay is {self.decay} and wait {self.wait}: give a share between 0 and 1, and at least 1."
            )

    def begins(self, loss: float) -> bool:
        """Tell whether a new task began with this batch."""
        if self.since >= self.wait and loss > self.mean + self.deviations * max(self.square**0.5, 0.05 * self.mean):
            self.mean, self.square, self.since = loss, 0.0, 0
            return True
        share = max(1 - self.decay, 1 / (self.since + 1))
        self.square += share * ((loss - self.mean) ** 2 - self.square)
        self.mean += share * (loss - self.mean)
        self.since += 1
        return False

    def tensors(self) -> dict[str, Tensor]:
        """Return what it holds."""
        return {"state": torch.tensor([self.mean, self.square, float(self.since)], dtype=torch.float64)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.mean, self.square, since = tensors["state"].tolist()
        self.since = int(since)
