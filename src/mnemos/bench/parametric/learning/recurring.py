"""Hundreds of small tasks of two random digits each: what plain gradient descent keeps (SCoLe, arXiv 2207.04543)."""

from __future__ import annotations

from functools import partial
from typing import Any

from mnemos.bench.parametric.learning.lives import Strategies, accuracy
from mnemos.bench.parametric.learning.methods import learner_of
from mnemos.bench.parametric.learning.streams import Images, digits, recurring
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Rivals

SIDE, TASKS, MARKS = 14, 300, (5, 50, 100, 300)
SIZES = (SIDE**2, 100, 10)
ROWS: dict[str, tuple[Strategies, Rivals, int, float, int]] = {  # and hidden units, momentum, digits a task
    "plain": ((), "all", 100, 0.0, 2),
    "plain, momentum 0.9": ((), "all", 100, 0.9, 2),
    "plain, 400 units": ((), "all", 400, 0.0, 2),
    "plain, 4 digits a task": ((), "all", 100, 0.0, 4),
    "plain, softmax over the batch's classes": ((), "batch", 100, 0.0, 2),
}


def measure(options: Any) -> dict[str, Row]:
    """Return rows of accuracy on all digits, as a mean over the five tasks up to a mark."""
    images = digits(options.data, side=SIDE).fewer(train=500, test=50)
    return {name: seeded(options.seeds, partial(once, images, *kind)) for name, kind in ROWS.items()}


def once(
    images: Images, strategies: Strategies, rivals: Rivals, units: int, momentum: float, each: int, seed: int
) -> dict[str, float]:
    """Return the accuracy around each mark, of ten steps of 20 a task at a rate of .02 (.002 with momentum)."""
    learner = learner_of(strategies, (SIDE**2, units, 10), 0.02 * (1 - momentum), seed, rivals, momentum)
    found, recent = {}, []
    for number, task in enumerate(recurring(images, TASKS, each, 200, seed), 1):
        for x, y in zip(task.train.x[_mixed(200)].split(20), task.train.y[_mixed(200)].split(20), strict=True):
            learner.observe(x, y, number)
        if any(mark - 5 < number <= mark for mark in MARKS):
            recent.append(accuracy(learner, task.test))
        if number in MARKS:
            found[f"after {number} %"] = sum(recent) / len(recent)
            recent = []
    return found


def _mixed(count: int) -> list[int]:
    """Return places such that neighbours are of different classes, which lie one behind the other."""
    return [(i * 61) % count for i in range(count)]
