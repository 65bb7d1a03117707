"""The smallest network around a layer, and its training on a task of real or one-hot inputs.

B sequences   T tokens   I channels of an input   O outputs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from mnemos.neural.base import State
from mnemos.neural.model import Layer, mixer
from mnemos.neural.training import Batch, Loss, Recipe, Report, cross_entropy, train

TESTED = 10_000_019  # the seed of what is tested
Task = Callable[[int, Generator], Batch]


class Plain(nn.Module):  # type: ignore[misc]
    """A linear map, a layer, a linear map: the layer is all that remembers."""

    def __init__(self, inputs: int, outputs: int, width: int, layer: Layer) -> None:
        super().__init__()
        self.enter, self.layer, self.out = nn.Linear(inputs, width), mixer(layer, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return outputs (B, T, O) and the state after inputs (B, T, I)."""
        y, state = self.layer(self.enter(x), state)
        return self.out(y), state


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of the last step; targets (B, O)."""
    return (outputs[:, -1] - targets).square().mean()


def fit(
    made: Callable[[], nn.Module], task: Task, recipe: Recipe, seed: int, *, batch: int = 32, tests: int = 500,
    loss: Loss = cross_entropy, score: Callable[[Tensor, Tensor], float], longer: Task | None = None,
) -> tuple[nn.Module, Report, float]:  # fmt: skip
    """Train a network; return it, what the training took, and its score on data that it has not seen, from `longer`."""
    torch.manual_seed(seed)
    model = made()
    x, wanted = (longer or task)(tests, Generator().manual_seed(TESTED))

    def look() -> float:
        with torch.no_grad():
            return score(model(x)[0], wanted)

    def draw(step: int) -> Batch:
        return task(batch, Generator().manual_seed(1_000_003 * seed + step))

    report = train(model, draw, recipe, loss=loss, look=look)
    return model, report, look()


def hidden_for(count: int, made: Callable[[int], nn.Module]) -> int:
    """Return the number of units with which a network has the most weights that are not above a number."""
    units = 4
    while sum(p.numel() for p in made(units + 2).parameters()) <= count:
        units += 2
    return units


def weights(model: Any) -> int:
    """Return the number of weights that are trained."""
    return sum(p.numel() for p in model.parameters())
