"""Steps that are projected: what each basis keeps, and what it costs.

`measure`: five permutations of 14 x 14 digits (50 of each class), 100 hidden units. `turned`: digits turned by 0 to 80 degrees,
as many directions for each basis of gradients, and three hidden layers for the singular directions of the weights.
`overlaps`: one task after another, and how far the gradients of the two overlap. Knobs are chosen on a seed that is not reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from mnemos.bench.parametric.learning.lives import Life, batches, perceptron
from mnemos.bench.parametric.learning.streams import Task, digits, permuted, rotated, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, five_permutations, hidden
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Batch
from mnemos.parametric.consolidate.gradient_projection import GradientProjection, logit_gradients, overlap, principal
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.projection import Projection
from mnemos.parametric.consolidate.subspaces import SingularSubspaces

STRENGTHS = tuple(10.0**power for power in range(-2, 5))
ANGLES = (0, 20, 40, 60, 80)


def measure(options: Any) -> dict[str, Row]:
    """Return the rows of permuted digits: inputs of layers as the basis."""
    trials = {
        "plain": Trial(),
        "EWC": Trial(lambda s: Anchor(s, samples=200), STRENGTHS),
        "orthogonal to inputs, by decomposition (GPM)": Trial(lambda e: Projection("svd", e), (0.9, 0.95, 0.97, 0.99)),
        "the same, by Oja's rule (HLOP)": Trial(lambda k: Projection("hebbian", directions=k), (10, 20, 30, 40)),
        "the same, recursive (OWM)": Trial(lambda d: Projection("recursive", damping=d), (1e-1, 1, 10, 100)),
    }
    return beside(five_permutations(options.data), trials, options.seeds)


def turned(options: Any) -> dict[str, Row]:
    """Return the rows of turned digits: gradients, and the weights themselves, as the basis."""
    images = digits(options.data, side=14).fewer(train=50, test=50)
    tasks = rotated(images, ANGLES)
    life = Life(batch=16, epochs=4)
    setting = Setting(lambda _: tasks, hidden(images, 50), life, {"scenario": "domain"})
    trials = {"plain, 50 hidden units": Trial()}
    for count in (20, 60):
        for basis, name in (("samples", "OGD"), ("principal", "PCA-OGD")):
            trials[f"{name}, {count} directions a task"] = Trial(
                lambda _, b=basis, c=count: GradientProjection(b, c, 200)  # type: ignore[misc]
            )
    found = beside(setting, trials, options.seeds)
    deep = Setting(lambda _: tasks, hidden(images, 100, 100, 100, 100), life, {"scenario": "domain"})
    shares = ((0.1, 0.8), (0.3, 0.9), (0.5, 0.95))
    return found | beside(
        deep,
        {
            "plain, four layers of 100": Trial(),
            "singular directions held, by importance (OSFT)": Trial(lambda s: SingularSubspaces(s[0], s[1]), shares),
            "singular directions held, equally": Trial(lambda s: SingularSubspaces(s[0], s[1], adaptive=False), shares),
        },
        options.seeds,
    )


def overlaps(options: Any) -> dict[str, Row]:
    """Return how the overlap of two tasks' gradients goes with what the second does to the first, over pairs of tasks."""
    images = digits(options.data, side=14).fewer(train=50, test=50)
    kinds: dict[str, Callable[[int], list[tuple[Task, Task]]]] = {
        "digits turned by 20 to 180 degrees": lambda seed: _pairs(rotated(images, (0, *range(20, 181, 20)))),
        "a share of pixels permuted, 10 % to 100 %": lambda seed: [
            (permuted(images, 1, seed)[0], permuted(images, 2, seed, share / 10)[1]) for share in range(1, 11)
        ],
        "two other digits, labels 0 and 1": lambda seed: (
            _pairs(split(images, 2, within=True))
            + _pairs(split(images, 2, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8], within=True))
        ),
    }
    found = {}
    for name, made in kinds.items():
        rows = [pair(images.side, first, second, seed) for seed in range(options.seeds) for first, second in made(seed)]
        found[name] = {
            f"{what}: rank correlation of {column}": float(
                spearmanr([r[what] for r in rows], [r[column] for r in rows])[0]
            )
            for what in ("loss risen", "logits moved")
            for column in ("largest cosine", "mean squared cosine")
        } | {"pairs": len(rows)}
    return found


def _pairs(tasks: list[Task]) -> list[tuple[Task, Task]]:
    """Return the first task with each of the others."""
    return [(tasks[0], other) for other in tasks[1:]]


def pair(side: int, first: Task, second: Task, seed: int, samples: int = 60, directions: int = 20) -> dict[str, float]:
    """Return what learning a second task does to the first, and how far their gradients overlap at the end of the first."""
    classes = int(max(first.train.y.max(), second.train.y.max())) + 1
    learner = Learner(perceptron([side**2, 50, classes], seed), scenario="domain")
    generator = torch.Generator().manual_seed(seed)

    def learn(task: Task, number: int) -> None:
        for rows in batches(len(task.train.y), Life(batch=20, epochs=3), generator):
            learner.observe(task.train.x[rows], task.train.y[rows], number)

    def gradients(task: Task) -> Tensor:
        rows = torch.randperm(len(task.train.y), generator=torch.Generator().manual_seed(seed))[:samples]
        return logit_gradients(learner, Batch(task.train.x[rows], task.train.y[rows], torch.zeros(samples)))

    learn(first, 0)
    spaces = [principal(gradients(task), directions) for task in (first, second)]
    before, cosines = learner.predict(first.test.x), overlap(*spaces)
    learn(second, 1)
    after = learner.predict(first.test.x)
    return {
        "loss risen": float(learner.criterion(after, first.test.y) - learner.criterion(before, first.test.y)),
        "logits moved": float((after - before).square().mean()),
        "largest cosine": float(cosines[0]),
        "mean squared cosine": float(cosines.square().mean()),
    }
