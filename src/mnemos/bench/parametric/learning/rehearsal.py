"""Rehearsal and what is done beside it, on digits in five tasks of two classes: one pass, 200 samples held.

Two hidden layers of 100, SGD, batches of 10; of two rates .1 was the better for every row of `measure` on a seed that is not
reported.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric.learning.lives import Life, Strategies
from mnemos.bench.parametric.learning.methods import RATE, lived, row_of, short
from mnemos.bench.parametric.learning.streams import Images, digits, split
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.fast_slow_replay import FastSlowReplay
from mnemos.parametric.consolidate.forget_prone import ForgetProne
from mnemos.parametric.consolidate.gdumb import GreedyBalanced
from mnemos.parametric.consolidate.refresh import Refresh
from mnemos.parametric.consolidate.relational_replay import RelationalReplay
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.reptile import Reptile
from mnemos.parametric.consolidate.view_replay import ViewBatchReplay

SIDE, SIZES = 14, (14 * 14, 100, 100, 10)
DER = DarkExperienceReplay(200, 10, 0.2, 0.5)
ROWS: dict[str, Strategies] = {
    "plain": (),
    "greedy balanced (GDumb)": GreedyBalanced(),
    "replay": Replay(),
    "replay, refresh": (Refresh(), Replay()),
    "replay, noise as large as refresh": (Refresh(ascent=False), Replay()),
    "replay, Reptile": (Replay(), Reptile()),
    "replay, learned weights": RelationalReplay(),
    "replay, fast and slow": FastSlowReplay(),
    "DER++": DER,
    "DER++, refresh": (Refresh(), DER),
    "replay, FPF": (Replay(), ForgetProne()),
}
PRONE: dict[str, Strategies] = {  # of five passes over each task, 250 steps of 20
    "plain": (),
    "replay": Replay(200, 20),
    "FPF": ForgetProne(epochs=5),
    "FPF, one module, the most prone": ForgetProne(epochs=5, count=1),
    "FPF, one module, the first": ForgetProne(epochs=5, modules=("0",)),
    "k-FPF, every 125 steps": ForgetProne(every=125, epochs=5),
    "replay, FPF": (Replay(200, 20), ForgetProne(epochs=5)),
}


def measure(options: Any) -> dict[str, Row]:
    """Return every row: accuracy, both forgettings, bytes and seconds."""
    tasks = split(digits(options.data, side=SIDE).fewer(train=500, test=100))

    def run(strategies: Strategies, rate: float, seed: int) -> dict[str, float]:
        return short(lived(tasks, strategies, SIZES, rate, seed))

    return {name: row_of(partial(run, strategies), options.seeds, RATE) for name, strategies in ROWS.items()}


def prone(options: Any) -> dict[str, Row]:
    """Return rows of fine-tuning the modules that forget: accuracy, and how many held samples were passed through the model."""
    tasks = split(digits(options.data, side=SIDE).fewer(train=500, test=100))
    life = Life(batch=20, epochs=5)

    def run(strategies: Strategies, rate: float, seed: int) -> dict[str, float]:
        found = lived(tasks, strategies, SIZES, rate, seed, life)
        passed, per_task = 0, found.steps // len(tasks)
        for s in strategies if isinstance(strategies, tuple) else (strategies,):
            if isinstance(s, Replay):
                passed += found.steps * s.batch
            if isinstance(s, ForgetProne):
                times = 1 + (per_task // s.every if s.every else 0)
                passed += len(tasks) * times * s.epochs * s.items
        return short(found) | {"held samples passed": passed}

    return {name: row_of(partial(run, strategies), options.seeds, RATE) for name, strategies in PRONE.items()}


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (N, side^2) moved by up to a pixel in both directions."""
    side = int(x.shape[1] ** 0.5)
    moves = torch.randint(-1, 2, (2, len(x), 1, 1), generator=generator)
    places = torch.arange(side)
    rows, columns = (places[:, None] + moves[0]).clamp(0, side - 1), (places[None] + moves[1]).clamp(0, side - 1)
    return x.view(-1, side, side)[torch.arange(len(x))[:, None, None], rows, columns].flatten(1)


def views(options: Any) -> dict[str, Row]:
    """Return rows of one number of steps: how often a sample comes back, and in how many views."""
    images = digits(options.data, side=SIDE).fewer(train=240, test=100)
    found = {"1 view, 16 passes": _views(images, ViewBatchReplay(200, 16, views=1), options.seeds)}
    found["1 view of the sample moved, 16 passes"] = _views(
        images, ViewBatchReplay(200, 16, views=1, view=shifted), options.seeds, moved=True
    )
    for count in (2, 4, 8, 16):
        made = ViewBatchReplay(200, 16, views=count, view=shifted)
        found[f"{count} views, {16 // count} passes"] = _views(images, made, options.seeds)
    made = ViewBatchReplay(200, 16, views=4, view=shifted, strength=0.0)
    found["4 views, 4 passes, no distance"] = _views(images, made, options.seeds)
    return found


def _views(images: Images, strategy: ViewBatchReplay, seeds: int, moved: bool = False) -> Row:
    life = Life(batch=16 // strategy.views, epochs=16 // strategy.views)
    made = MovedViews(**{f: getattr(strategy, f) for f in ("items", "batch", "views", "view")}) if moved else strategy
    return row_of(lambda rate, seed: short(lived(split(images), made, SIZES, rate, seed, life)), seeds, RATE)


class MovedViews(ViewBatchReplay):
    """The control: as many steps of as many samples, each in one view, moved."""

    def seen_often(self, batch: Any, learning: Any) -> Any:
        """Return the batch moved."""
        return batch._replace(x=self.view(batch.x, learning.generator))
