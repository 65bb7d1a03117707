"""A small frozen convolutional network whose channels are remapped for each task.

The anchor network (two convolutions, 14 x 14 pixels) was trained on half of the digits, upright; the five tasks are the other
half, 100 images a class, turned by 40, 80, 120, 160 and 200 degrees, the task named. "numbers a task" is the share of the network
that a task adds.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import Life, live
from mnemos.bench.parametric.learning.streams import Images, Labelled, Task, digits, rotated
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.made import Made
from mnemos.parametric.consolidate.reprogramming import ChannelReprogramming

LIFE = Life(batch=25, epochs=2, asked=True)
WAYS: dict[str, tuple[Strategy, ...]] = {
    "plain": (),
    "a head a task": (ChannelReprogramming(kernel=0),),
    "channels remapped": (ChannelReprogramming(),),
}


def measure(options: Any) -> dict[str, Row]:
    """Return accuracy, forgetting, and numbers a task, of each method and of a whole network a task."""
    images = digits(options.data, side=14)
    halves = [Labelled(images.train.x[i::2], images.train.y[i::2]) for i in range(2)]
    few = Images(halves[1], images.test, 14).fewer(100, 40)
    tasks, anchor = rotated(few, (40, 80, 120, 160, 200)), trained(halves[0])
    found = {name: seeded(options.seeds, partial(once, anchor, tasks, ways)) for name, ways in WAYS.items()}
    return found | {"a network a task, fine-tuned": seeded(options.seeds, partial(separate, anchor, tasks))}


def trained(part: Labelled, steps: int = 300) -> nn.Sequential:
    """Return the anchor network."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 14, 14)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(part.y), (50,))
        optimiser.zero_grad()
        F.cross_entropy(model(part.x[rows]), part.y[rows]).backward()
        optimiser.step()
    return model


def once(anchor: nn.Module, tasks: list[Task], ways: tuple[Strategy, ...], seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    torch.manual_seed(seed)
    rate = 5e-3 if ways else 1e-3
    learner = Learner(
        copy.deepcopy(anchor), ways, scenario="task", seed=seed, optimise=partial(torch.optim.Adam, lr=rate)
    )
    whole = sum(p.numel() for p in anchor.parameters())
    figures = live(learner, tasks, LIFE, seed).figures()
    row = {"accuracy %": figures["accuracy"], "forgetting %": figures["forgetting"]}
    if isinstance(learner.model, Made):
        row["numbers a task %"] = sum(p.numel() for p in learner.model.maker.own["0"].parameters()) / whole
    return row


def separate(anchor: nn.Module, tasks: list[Task], seed: int) -> dict[str, float]:
    """Return what a copy of the network for each task knows."""
    right = [once(anchor, [task], (), seed)["accuracy %"] for task in tasks]
    return {"accuracy %": sum(right) / len(right), "forgetting %": 0.0, "numbers a task %": 1.0}
