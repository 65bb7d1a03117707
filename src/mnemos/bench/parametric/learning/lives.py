"""The life of a learner: tasks learned one after the other, with looks at all of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.learning.streams import Labelled, Task
from mnemos.parametric.base import Head
from mnemos.parametric.consolidate.base import NO_TASK, Strategy
from mnemos.parametric.consolidate.learner import CannotWork, Learner
from mnemos.parametric.consolidate.metrics import Accuracies, kept

CHOSEN_ON = 100  # the seed that rates and knobs are chosen on
Strategies = Strategy | tuple[Strategy, ...]


def fresh(
    model: Callable[[], nn.Module],
    strategies: Strategies,
    seed: int,
    rate: float = 0.1,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    **settings: Any,  # of the learner, such as its scenario
) -> Learner:
    """Return a learner that has not learned yet, made after the seed is set; that one cannot work is shown by its row."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotWork)
        return Learner(model(), strategies, optimise=partial(optimiser, lr=rate), seed=seed, **settings)


@dataclass(frozen=True)
class Life:
    """How a learner's life is led."""

    batch: int = 10  # samples of a step
    epochs: int = 1  # passes over a task
    steps: int = 0  # of a task, drawn at random; 0: as many as the passes take
    every: int = 0  # steps between two looks at all tasks; 0: at their ends alone
    named: bool = True  # tell the learner which task a batch is of
    asked: bool = False  # tell it which task it is asked about (task-incremental)


@dataclass(frozen=True)
class Lived:
    """What came of it."""

    accuracies: Accuracies
    before: tuple[float, ...]  # accuracies before any learning
    seconds: float  # processor time of learning, looks not counted
    steps: int
    nbytes: int  # held beside the model

    def figures(self, window: int = 10) -> dict[str, float]:
        """Return the figures of the metric set, with seconds and bytes."""
        found = kept(self.accuracies, self.before, window).as_dict()
        return found | {"seconds": self.seconds, "steps": self.steps, "nbytes": self.nbytes}


def live(learner: Learner, tasks: Sequence[Task], life: Life | None = None, seed: int = 0) -> Lived:
    """Let a learner learn tasks in turn; its batches are drawn by the seed."""
    how = life or Life()
    generator = torch.Generator().manual_seed(seed)
    seen, spent = Accuracies(len(tasks)), 0.0
    before = tuple(asked(learner, tasks, how))
    for number, task in enumerate(tasks):
        for at, rows in enumerate(batches(len(task.train.y), how, generator), 1):
            begun = time.process_time()
            learner.observe(task.train.x[rows], task.train.y[rows], number if how.named else None)
            spent += time.process_time() - begun
            if how.every and at % how.every == 0:
                seen.look(learner.steps, asked(learner, tasks, how))
        begun = time.process_time()
        if how.named:
            learner.end_task()
        spent += time.process_time() - begun
        seen.look(learner.steps, asked(learner, tasks, how), end=True)
    return Lived(seen, before, spent, learner.steps, learner.nbytes)


def batches(count: int, life: Life, generator: torch.Generator) -> list[Tensor]:
    """Return the rows of a task's batches, in the order in which they are learned."""
    if life.steps:
        return [torch.randint(count, (life.batch,), generator=generator) for _ in range(life.steps)]
    return [b for _ in range(life.epochs) for b in torch.randperm(count, generator=generator).split(life.batch)]


def asked(learner: Learner, tasks: Sequence[Task], life: Life) -> list[float]:
    """Return the accuracy on every task."""
    return [accuracy(learner, task.test, i if life.asked else NO_TASK) for i, task in enumerate(tasks)]


def accuracy(learner: Learner, part: Labelled, task: int = NO_TASK) -> float:
    """Return the share of samples whose class has the highest logit."""
    return float((learner.predict(part.x, task).argmax(-1) == part.y).float().mean())


def live_head(head: Head, tasks: Sequence[Task], batch: int = 100) -> Lived:
    """Let a head, which takes no steps, learn tasks in turn; the features are x as it is."""
    seen, spent, steps = Accuracies(len(tasks)), 0.0, 0
    for task in tasks:
        for x, y in zip(task.train.x.split(batch), task.train.y.split(batch), strict=True):
            begun = time.process_time()
            head.learn(x, y)
            spent, steps = spent + time.process_time() - begun, steps + 1
        right = [float((head.scores(t.test.x).argmax(-1) == t.test.y).float().mean()) for t in tasks]
        seen.look(steps, right, end=True)
    return Lived(seen, (0.0,) * len(tasks), spent, steps, head.nbytes)


def perceptron(sizes: Sequence[int], seed: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return layers of `sizes` units, weights drawn by the seed (Glorot's uniform draw, biases 0)."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for given, made in pairwise(sizes):
        layer = nn.Linear(given, made)
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])
