"""Weights or samples: models that grow, and rehearsal, at the same bytes in all.

Digits in five tasks of two classes, one pass; two hidden layers of 200 and 100, SGD at .1.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mnemos.bench.parametric.learning.lives import live
from mnemos.bench.parametric.learning.methods import learner_of
from mnemos.bench.parametric.learning.streams import Task, digits, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.expansion import ModelExpansion
from mnemos.parametric.consolidate.replay import Replay

SIDE = 14
SIZES = (SIDE**2, 200, 100, 10)
SAMPLE = 4 * SIDE**2 + 16  # bytes of an image with its class and task
LOWER, UPPER = 4 * (SIDE**2 + 1) * 200, 4 * 201 * 100  # bytes of the first hidden layer; of the second
BUDGETS = (800, 1300)  # kB


def measure(options: Any) -> dict[str, Row]:
    """Return rows of both budgets: accuracy and what the bytes are spent on."""
    tasks = split(digits(options.data, side=SIDE).fewer(train=500, test=100))
    found = {}
    for budget in BUDGETS:
        for name, extra, made in (
            ("replay", 0, ()),
            ("upper layers of each task (MEMO)", 4 * UPPER, (ModelExpansion(lower=2),)),
            ("all layers of each task", 4 * (LOWER + UPPER), (ModelExpansion(lower=0),)),
        ):
            items = (budget * 1000 - LOWER - UPPER - extra) // SAMPLE
            if items >= len(tasks):
                strategies: tuple[Strategy, ...] = (Replay(items), *made)
                found[f"{budget} kB: {name}"] = seeded(options.seeds, partial(once, tasks, strategies, items))
    return found


def once(tasks: list[Task], strategies: tuple[Strategy, ...], items: int, seed: int) -> dict[str, float]:
    """Return the figures of a life."""
    learner = learner_of(strategies, SIZES, 0.1, seed)
    lived = live(learner, tasks, seed=seed)
    found = lived.figures()
    weights = sum(p.numel() * p.element_size() for p in learner.model.parameters())
    return {
        "accuracy %": found["accuracy"],
        "forgetting %": found["forgetting"],
        "images held": items,
        "kB in all": (lived.nbytes + weights) / 1000,
        "seconds": lived.seconds,
    }
