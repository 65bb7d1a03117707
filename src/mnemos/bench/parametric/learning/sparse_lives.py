"""Rehearsal at a fraction of the multiplications: sparse weights, easy samples left out.

Split digits (14 x 14 pixels, 200 images a class, five tasks of two), a perceptron of two layers of 100, 200 held samples (DER++),
SGD at .03, three passes. "work" is multiplications, as a share of the dense method's.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import Life, live, perceptron
from mnemos.bench.parametric.learning.streams import Task, digits, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.sparse_training import SparseTraining

LIFE, SIZES = Life(batch=10, epochs=3), (196, 100, 100, 10)
HELD = DarkExperienceReplay(200, 10, 0.2, 0.5)
WAYS: dict[str, tuple[Strategy, ...]] = {
    "dense": (HELD,),
    "sparse 25 %": SparseTraining(0.25) + HELD,
    "sparse 25 %, easy samples left out": SparseTraining(0.25, easy=2) + HELD,
    "sparse 25 %, magnitude alone": SparseTraining(0.25, extra=0.0, gradient=0.0) + HELD,
    "sparse 10 %": SparseTraining(0.1) + HELD,
    "sparse 10 %, magnitude alone": SparseTraining(0.1, extra=0.0, gradient=0.0) + HELD,
}


def measure(options: Any) -> dict[str, Row]:
    """Return accuracy and work of each method."""
    tasks = split(digits(options.data, side=14).fewer(200, 60))
    return {name: seeded(options.seeds, partial(once, tasks, ways)) for name, ways in WAYS.items()}


def once(tasks: list[Task], ways: tuple[Strategy, ...], seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    torch.manual_seed(seed)
    learner = Learner(perceptron(SIZES, seed), ways, optimise=partial(torch.optim.SGD, lr=0.03), seed=seed)
    life = live(learner, tasks, LIFE, seed)
    steps = sum(-(-len(t.train.y) // LIFE.batch) for t in tasks) * LIFE.epochs
    whole = 3 * 3 * LIFE.batch * steps * sum(a * b for a, b in pairwise(SIZES))
    first = learner.strategies[0]
    work = first.work / whole if isinstance(first, SparseTraining) else 1.0
    return {"accuracy %": life.figures()["accuracy"], "work %": work, "seconds": life.seconds}
