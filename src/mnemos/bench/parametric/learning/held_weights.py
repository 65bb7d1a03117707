"""Slow copies whose pace is chosen by gradients, and weights that are held because they moved.

Digits turned by 0 to 80 degrees as in the part `turned` (50 of each class, four passes in batches of 16, 100 hidden units).
Decays and strengths are chosen on a seed that is not reported.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import Life, perceptron
from mnemos.bench.parametric.learning.streams import Labelled, Task, digits, rotated, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, hidden
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.boundaries import LossJump
from mnemos.parametric.consolidate.diverse_replay import DiverseReplay
from mnemos.parametric.consolidate.key_weights import KeyWeights
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

ANGLES = (0, 20, 40, 60, 80)


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each way."""
    images = digits(options.data, side=14).fewer(train=50, test=50)
    tasks = rotated(images, ANGLES)
    setting = Setting(lambda _: tasks, hidden(images, 100), Life(batch=16, epochs=4), {"scenario": "domain"})
    strengths = (0.01, 0.1, 1.0, 10.0)
    trials = {
        "plain": Trial(),
        "slow copy, fixed pace": Trial(SlowCopy, (0.9, 0.97, 0.99, 0.997)),
        "slow copy, pace by gradients (CoIN)": Trial(lambda _: SlowCopy(dynamic=True)),
        "all weights held alike (L2)": Trial(lambda s: Anchor(s, "equal"), (0.001, *strengths)),
        "the 2 % that moved most held (RegLoRA)": Trial(KeyWeights, strengths),
        "the 20 % that moved most held": Trial(lambda s: KeyWeights(s, share=0.2), strengths),
    }
    return beside(setting, trials, options.seeds)


def unequal(options: Any) -> dict[str, Row]:
    """Return the rows of classes in turn of which one has 20 times as many samples, with 50 of them held; no task is named."""
    images = digits(options.data, side=14).fewer(train=400, test=50)

    def tasks(seed: int) -> list[Task]:
        large = seed % 5
        return [
            task if number == large else Task(_some(task.train, 20, seed), task.test)
            for number, task in enumerate(split(images))
        ]

    setting = Setting(tasks, hidden(images, 100), Life(batch=10, epochs=2, named=False))
    rates = (0.03, 0.1)
    trials = {
        "replay, 50 at random": Trial(lambda _: Replay(50, 10), rates=rates),
        "replay, 50 as many of each class": Trial(lambda _: Replay(50, 10, "balanced"), rates=rates),
        "replay, 50 of unlike gradients (GSS)": Trial(lambda _: DiverseReplay(50, 10), rates=rates),
    }
    return beside(setting, trials, options.seeds)


def _some(part: Labelled, each: int, seed: int) -> Labelled:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.cat([
        places[torch.randperm(len(places), generator=generator)[:each]]
        for places in ((part.y == c).nonzero().flatten() for c in part.y.unique())
    ])  # fmt: skip
    return Labelled(part.x[rows], part.y[rows])


def borders(options: Any) -> dict[str, Row]:
    """Return how many borders between tasks a jump of the loss finds, how late, and how many it finds where there are none."""
    images = digits(options.data, side=14).fewer(train=100, test=10)
    streams = {"two classes at a time": split(images), "turned by 0 to 80 degrees": rotated(images, (0, 40, 80))}
    return {name: seeded(options.seeds, partial(found, images.side, tasks)) for name, tasks in streams.items()}


def found(side: int, tasks: list[Task], seed: int, batch: int = 10, epochs: int = 3) -> dict[str, float]:
    """Return what is found of a stream's borders, in batches."""
    classes = int(max(task.train.y.max() for task in tasks)) + 1
    learner = Learner(
        perceptron([side**2, 100, classes], seed), boundaries=LossJump(wait=10), scenario="domain", seed=seed
    )
    generator, at, true, fired = torch.Generator().manual_seed(seed), 0, [], []
    for number, task in enumerate(tasks):
        true += [at] * (number > 0)
        for _ in range(epochs):
            for rows in torch.randperm(len(task.train.y), generator=generator).split(batch):
                before = learner.tasks
                learner.observe(task.train.x[rows], task.train.y[rows])
                if learner.tasks > before and at:
                    fired.append(at)
                at += 1
    near = [min((f - t for f in fired if t <= f < t + 10), default=None) for t in true]
    late = [n for n in near if n is not None]
    return {
        "borders": len(true), "found": len(late), "batches late": sum(late) / len(late) if late else 0.0,
        "found where none is": len(fired) - len(late),
    }  # fmt: skip
