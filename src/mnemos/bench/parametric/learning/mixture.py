"""Digits in five kinds of two classes on a stream that names no task: how many models a mixture makes, and what it knows."""

from __future__ import annotations

from functools import partial
from typing import Any

from mnemos.bench.parametric.learning.lives import Life, Strategies, live
from mnemos.bench.parametric.learning.methods import learner_of
from mnemos.bench.parametric.learning.rehearsal import SIDE, SIZES
from mnemos.bench.parametric.learning.streams import Images, digits, joint, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.evolved_mixture import EvolvedMixture
from mnemos.parametric.consolidate.replay import Replay

ROWS: dict[str, Strategies] = {"plain": (), "replay of 350": Replay(350), "mixture, 50 a component": EvolvedMixture()}


def measure(options: Any) -> dict[str, Row]:
    """Return every row: accuracy in kinds and mixed, and the components of both."""
    images = digits(options.data, side=SIDE).fewer(train=500, test=100)
    return {name: seeded(options.seeds, partial(once, images, s)) for name, s in ROWS.items()}


def once(images: Images, strategies: Strategies, seed: int) -> dict[str, float]:
    """Return the figures of both streams at a rate of .1."""
    found: dict[str, float] = {}
    for name, tasks in (("", split(images)), ("mixed ", [joint(split(images))])):
        learner = learner_of(strategies, SIZES, 0.1, seed)
        lived = live(learner, tasks, Life(named=False), seed).figures()
        found[f"{name or 'in kinds '}%"] = lived["accuracy"]
        for s in learner.strategies:
            if isinstance(s, EvolvedMixture):
                found[f"{name or 'in kinds '}components"] = len(s.parts)
        found.setdefault("kB held", lived["nbytes"] / 1000)
        found.setdefault("seconds", lived["seconds"])
    return found
