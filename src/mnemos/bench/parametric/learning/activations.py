"""Rehearsal of the last classes alone, with units that are frozen afterwards and without: digits in five tasks of two classes.

Eight passes in batches of 25 by Adam, 500 images a class; layers of 200, 400 and 100 units, of which the first is frozen after
the first task where activations are rehearsed. An image is 784 bytes; "as if a pixel were a byte" holds four times as many.
Rates and the length of a phase are chosen on a seed that is not reported.
"""

from __future__ import annotations

from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import Life
from mnemos.bench.parametric.learning.streams import digits, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, hidden
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.latent_replay import LatentReplay
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.sparse_replay import SparseReplay

RATES, PHASES = (1e-3, 3e-3), (20, 30)
ALL = 9  # tasks: more than there are


class Unfrozen(SparseReplay):
    """The control: units are chosen and rewired, but never frozen."""

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Hold nothing."""
        self.before = []


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each way."""
    images = digits(options.data, side=14).fewer(train=500, test=100)
    setting = Setting(
        lambda _: split(images), hidden(images, 200, 400, 100), Life(batch=25, epochs=8),
        also=lambda learner, _: {"kB held": learner.nbytes / 1000}, optimiser=torch.optim.Adam,
    )  # fmt: skip
    trials: dict[str, Trial] = {"plain": Trial(rates=RATES)}
    for name, last in (("the last classes", 1), ("all classes", 0)):
        for what, strategy in rehearsals(last).items():
            trials[f"{name}: {what}"] = Trial(lambda _, s=strategy: s, rates=RATES)  # type: ignore[misc]
        for what, made in (
            ("activations, units frozen (SHARP)", SparseReplay),
            ("activations, no unit frozen", Unfrozen),
        ):
            trials[f"{name}: {what}"] = Trial(lambda n, m=made, t=last or ALL: m(50, t, every=n), PHASES, RATES)  # type: ignore[misc]
    del trials["all classes: activations, units frozen (SHARP)"]  # as long as a class is rehearsed, none is
    return beside(setting, trials, options.seeds)


def rehearsals(last: int) -> dict[str, Strategy]:
    """Return what rehearses images and codes of the classes of the last tasks, or of all where `last` is 0."""
    return {
        "110 images": Replay(110, 25, "balanced", last=last),
        "440 images, as if a pixel were a byte": Replay(440, 25, "balanced", last=last),
        "2,400 codes of 20 bytes": LatentReplay(2400, 25, codes=20, mixup=0, last=last),
    }
