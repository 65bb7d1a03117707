"""One small model trained on one task, and how right it is on sequences that it has not seen: a cell of a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.neural.sequences import Task, seeded
from mnemos.neural.model import LM, Layer
from mnemos.neural.training import Recipe, accuracy, train

TESTED = 10_000_019  # the seed of what is tested, apart from those of training


@dataclass(frozen=True, slots=True)
class Model:
    """A language model of the same layers above each other."""

    layers: Sequence[Layer]
    width: int = 64
    kernel: int = 3
    expand: float = 0


def learn(
    model: Model, task: Task, vocabulary: int, recipe: Recipe, *, batch: int = 64, seed: int = 0, tests: int = 512
) -> tuple[LM, dict[str, Any]]:
    """Train a model; return it and its accuracy, steps, seconds and numbers of state and weights."""
    torch.manual_seed(seed)
    lm = LM(vocabulary, model.width, model.layers, model.kernel, model.expand)
    test = task(tests, torch.Generator().manual_seed(TESTED))
    started = time.process_time()
    report = train(lm, seeded(task, batch, seed), recipe, look=lambda: accuracy(lm, test))
    length = test.inputs.shape[1]
    return lm, {
        "accuracy": accuracy(lm, test),
        "steps": report.steps,
        "seconds": round(time.process_time() - started, 2),
        "state": lm.state_size(length),
        "weights": sum(p.numel() for p in lm.parameters()),
    }


def best_of(
    rates: Sequence[float], model: Model, task: Task, vocabulary: int, recipe: Recipe, **options: Any
) -> dict[str, Any]:
    """Train with each rate and return the cell of the best, with its rate; the search ends where the goal is reached."""
    from dataclasses import replace

    found: list[dict[str, Any]] = []
    for rate in rates:
        cell = learn(model, task, vocabulary, replace(recipe, rate=rate), **options)[1]
        found.append(cell | {"rate": rate})
        if cell["accuracy"] >= recipe.goal:
            break
    return max(found, key=lambda cell: cell["accuracy"])


def fitted(
    parameters: Iterable[Tensor], loss: Callable[[torch.Generator], Tensor], steps: int, seed: int, rate: float
) -> None:
    """Take steps on a loss of what it draws, another draw for each step and seed; the rate falls by a cosine."""
    parameters = list(parameters)
    optimiser = torch.optim.AdamW(parameters, rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        optimiser.zero_grad()
        loss(rng(step + 10**6 * seed)).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
