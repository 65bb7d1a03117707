"""One model that learns four domains in turn, beside a specialist for each and one that learns all at once.

Digits turned by 0, 30, 60 and 90 degrees are the domains, 200 images of each digit in each, three passes; the model was trained
on 100 others turned by -30 degrees before. Between and beyond them, at 15, 45, 75 and 105 degrees, are domains that no one has
learned. `domains %`: accuracy on the four, of specialists each on its own; `other domains %`: of specialists on those of the
others; `new domains %`: on the domains that nobody has learned; `gap closed %`: how much of what all at once is ahead of
learning in turn, on the first three domains. The rate was chosen on seed 100.
"""

from __future__ import annotations

import copy
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import nn

from mnemos.bench.parametric.learning.lives import Life, accuracy, live, perceptron
from mnemos.bench.parametric.learning.streams import Images, Task, digits, joint, rotated
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

BEFORE, DOMAINS, NEW = -30.0, (0.0, 30.0, 60.0, 90.0), (15.0, 45.0, 75.0, 105.0)  # degrees
LEARNED, TEST = 200, 50  # images of each digit, in a domain
RATE, LIFE = 0.1, Life(epochs=3)
HELD = {"replay of 1 %": 0.01, "replay of 5 %": 0.05}  # share of the images of all domains that is held


def measure(options: Any) -> dict[str, Row]:
    """Return the figures of every way."""
    images = digits(options.data, side=14)
    runs = [once(images, seed) for seed in range(options.seeds)]
    return {way: over_seeds([run[way] for run in runs], ()) for way in runs[0]}


def once(images: Images, seed: int, rate: float = RATE) -> dict[str, dict[str, float]]:
    """Return the figures of one seed, by way."""
    some = images.fewer(LEARNED, TEST, seed)
    tasks, new = rotated(some, DOMAINS), rotated(some, NEW)
    model = perceptron([196, 100, 100, 10], seed)
    taught(model, rotated(images.fewer(LEARNED // 2, 1, seed + 1000), (BEFORE,)), rate, seed)

    def general(strategies: tuple[Strategy, ...] = (), stream: list[Task] | None = None) -> dict[str, float]:
        learner = taught(copy.deepcopy(model), stream or tasks, rate, seed, strategies)
        known = [accuracy(learner, task.test) for task in tasks]
        return {"domains %": fmean(known), "first three %": fmean(known[:-1])} | beyond(learner, new)

    own = [taught(copy.deepcopy(model), [task], rate, seed) for task in tasks]
    found = {
        "specialists": {
            "domains %": fmean(accuracy(s, task.test) for s, task in zip(own, tasks, strict=True)),
            "other domains %": fmean(
                accuracy(s, t.test) for i, s in enumerate(own) for j, t in enumerate(tasks) if i != j
            ),
            "new domains %": fmean(beyond(s, new)["new domains %"] for s in own),
        },
        "in turn": general(),
    }
    for name, share in HELD.items():
        found[name] = general((Replay(int(share * sum(len(t.train.y) for t in tasks)), 10),))
    found["all at once"] = general(stream=[joint(tasks)])
    low, high = found["in turn"]["first three %"], found["all at once"]["first three %"]
    for row in list(found.values())[1:]:
        row["gap closed %"] = (row.pop("first three %") - low) / (high - low)
    return found


def taught(
    model: nn.Module, tasks: list[Task], rate: float, seed: int, strategies: tuple[Strategy, ...] = ()
) -> Learner:
    """Return a learner that has learned tasks in turn."""
    learner = Learner(model, strategies, optimise=partial(torch.optim.SGD, lr=rate), seed=seed)
    live(learner, tasks, LIFE, seed)
    return learner


def beyond(learner: Learner, new: list[Task]) -> dict[str, float]:
    """Return the accuracy on domains that nobody has learned."""
    return {"new domains %": fmean(accuracy(learner, task.test) for task in new)}
