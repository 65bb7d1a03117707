"""A linear map over frozen random features, two classes at a time, no buffer: what is kept, and by how many numbers.

600 random features (ReLU, of unit length) of 14 x 14 digits, 50 of each class: fewer samples than features, so that one
map fits all. The rows that take steps make 20 passes at the rate that serves them best on a seed that is not reported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import CHOSEN_ON, Life, Strategies, batches
from mnemos.bench.parametric.learning.streams import Images, Labelled, Task, digits, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.gradient_projection import GradientProjection
from mnemos.parametric.consolidate.ideal import IdealLinear
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.projection import Projection
from mnemos.parametric.recall.ridge import RidgeHead

FEATURES, CLASSES, DIRECTIONS = 600, 10, 30
RATES = (0.3, 1.0)
Answer = Callable[[Tensor], Tensor]


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each way to keep the map."""
    images = digits(options.data, side=14).fewer(train=50, test=50)
    limited = f"{DIRECTIONS} directions a task"
    stepping: dict[str, Callable[[], Strategies]] = {
        "plain": lambda: (),
        "recursive projection (IF2Net)": lambda: Projection("recursive", samples=100),
        f"OGD, {limited}": lambda: GradientProjection("samples", DIRECTIONS, 100),
        f"PCA-OGD, {limited}": lambda: GradientProjection("principal", DIRECTIONS, 100),
    }
    found = {}
    for name, make in stepping.items():
        rate = max(RATES, key=lambda r: stepped(images, make(), r, CHOSEN_ON)["accuracy %"])
        found[name] = seeded(options.seeds, lambda seed: stepped(images, make(), rate, seed))  # noqa: B023
    found["ideal learner"] = seeded(options.seeds, lambda seed: solved(images, None, seed))
    found[f"ideal learner, {limited}"] = seeded(options.seeds, lambda seed: solved(images, DIRECTIONS, seed))
    found["ridge regression over all tasks"] = seeded(options.seeds, lambda seed: at_once(images, seed))
    return found


def stream(images: Images, seed: int) -> list[Task]:
    """Return five tasks of two classes each, as frozen random features of unit length."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(images.side**2, FEATURES, generator=generator)
    b = torch.randn(FEATURES, generator=generator)

    def features(part: Labelled) -> Labelled:
        return Labelled(F.normalize(F.relu(part.x @ w + b), dim=-1), part.y)

    return [Task(features(task.train), features(task.test)) for task in split(images)]


def stepped(images: Images, strategies: Strategies, rate: float, seed: int) -> Row:
    """Return the row of a map that is trained by gradients of the squared error."""
    tasks, layer = stream(images, seed), nn.Linear(FEATURES, CLASSES, bias=False)
    nn.init.zeros_(layer.weight)
    learner = Learner(
        layer, strategies, scenario="domain", criterion=squares, optimise=partial(torch.optim.SGD, lr=rate), seed=seed
    )
    generator, first = torch.Generator().manual_seed(seed), 0.0
    for number, task in enumerate(tasks):
        for rows in batches(len(task.train.y), Life(batch=20, epochs=20), generator):
            learner.observe(task.train.x[rows], task.train.y[rows], number)
        learner.end_task()
        first = first or loss(learner.predict, tasks[0])
    return row(learner.predict, tasks, first, learner.nbytes)


def solved(images: Images, directions: int | None, seed: int) -> Row:
    """Return the row of the ideal learner."""
    tasks, ideal, first = stream(images, seed), IdealLinear(FEATURES, CLASSES, directions), 0.0
    for task in tasks:
        ideal.solve(task.train.x, F.one_hot(task.train.y, CLASSES))
        first = first or loss(ideal.answer, tasks[0])
    return row(ideal.answer, tasks, first, ideal.used.numel() * 8)


def at_once(images: Images, seed: int) -> Row:
    """Return the row of a ridge regression that saw all tasks."""
    tasks, head = stream(images, seed), RidgeHead(FEATURES, CLASSES, 1e-3)
    for task in tasks:
        head.learn(task.train.x, task.train.y)
    return row(head.scores, tasks, loss(head.scores, tasks[0]), head.nbytes)


def row(answer: Answer, tasks: list[Task], first: float, nbytes: int) -> Row:
    """Return accuracy over all classes, the first task's loss when it was learned and at the end, and bytes held."""
    right = torch.cat([answer(task.test.x).argmax(-1) == task.test.y for task in tasks])
    return {
        "accuracy %": float(right.float().mean()),
        "first task's loss, learned": first,
        "first task's loss, at the end": loss(answer, tasks[0]),
        "MB held": nbytes / 1e6,
    }


def loss(answer: Answer, task: Task) -> float:
    """Return the squared error on what was learned of a task."""
    return float(squares(answer(task.train.x), task.train.y))


def squares(said: Tensor, y: Tensor) -> Tensor:
    """Return the mean over samples of the squared distance to the one-hot labels."""
    return (said - F.one_hot(y, said.shape[1])).square().sum(-1).mean()
