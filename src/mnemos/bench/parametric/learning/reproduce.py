"""Published values again: what the protocol gave its authors, and what it gives here.

`s-mnist`: two hidden layers of 100, SGD, one pass, batches of 10, five tasks of two digits, ten outputs (DER's protocol, arXiv
2004.07211; rates and weights are those of mammoth's `best_args`). `task` and `class`: van de Ven 2022 (400 and 400, Adam at
1e-3, 2,000 steps of 128 a task; the penalty of EWC is that of the paper). "within" says whether the mean over seeds is as
near as the published spread, or 2 points where that is smaller.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from mnemos.bench.parametric.learning.lives import Life, fresh, live, perceptron
from mnemos.bench.parametric.learning.streams import Images, digits, joint, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.gem import AveragedGEM
from mnemos.parametric.consolidate.replay import Replay

LEAST = 0.02  # how near is near enough, at least


class Published(NamedTuple):
    """A published value and how it is made."""

    strategies: tuple[Strategy, ...]
    rate: float
    value: float  # share
    spread: float = 0.0  # its standard deviation, where one is printed
    all_at_once: bool = False  # one training on all tasks


S_MNIST = {
    "plain": Published((), 0.03, 0.196),
    "EWC, online": Published((Anchor(90),), 0.03, 0.205),
    "SI": Published((Anchor(1, "path", damping=0.9),), 0.1, 0.193),
    "distillation (LwF)": Published((Distillation(),), 0.03, 0.196),
    "A-GEM, 200": Published((AveragedGEM(200, 128),), 0.1, 0.457),
    "replay, 200": Published((Replay(200, 10),), 0.01, 0.804, 0.019),
    "replay, 500": Published((Replay(500, 10),), 0.1, 0.861, 0.019),
    "replay, 5120": Published((Replay(5120, 10),), 0.1, 0.934, 0.013),
    "DER, 200": Published((DarkExperienceReplay(200, 10, 0.2),), 0.03, 0.846, 0.016),
    "DER, 500": Published((DarkExperienceReplay(500, 128, 1.0),), 0.03, 0.905),
    "DER, 5120": Published((DarkExperienceReplay(5120, 128, 0.5),), 0.1, 0.949),
    "DER++, 200": Published((DarkExperienceReplay(200, 128, 0.2, 1.0),), 0.03, 0.856, 0.014),
    "DER++, 500": Published((DarkExperienceReplay(500, 10, 1.0, 0.5),), 0.03, 0.910, 0.015),
    "DER++, 5120": Published((DarkExperienceReplay(5120, 64, 0.2, 0.5),), 0.1, 0.953),
    "joint": Published((), 0.1, 0.956, 0.0, True),
}
SPLIT_MNIST = {
    "task": {
        "plain": Published((), 1e-3, 0.843, 0.08),
        "EWC": Published((Anchor(1e5, each_task=True),), 1e-3, 0.991),
        "SI": Published((Anchor(20, "path"),), 1e-3, 0.992),
        "distillation (LwF)": Published((Distillation(share="tasks"),), 1e-3, 0.996),
    },
    "class": {
        "plain": Published((), 1e-3, 0.199),
        "EWC": Published((Anchor(1e9, each_task=True),), 1e-3, 0.206),
        "replay, 100 a class": Published((Replay(1000, 128, "balanced", "tasks"),), 1e-3, 0.888),
        "joint": Published((), 1e-3, 0.982, 0.0, True),
    },
}


def measure(options: Any) -> dict[str, Row]:
    """Return every row: accuracy, what was published, whether it is within, and the seconds of a run."""
    images = digits(options.data)
    found = {f"S-MNIST: {name}": row(images, want, options.seeds) for name, want in S_MNIST.items()}
    for scenario, rows in SPLIT_MNIST.items():
        for name, want in rows.items():
            found[f"Split-MNIST, {scenario}: {name}"] = row(images, want, options.slow_seeds, scenario)
    return found


def row(images: Images, want: Published, seeds: int, scenario: str = "") -> Row:
    """Return a published value and ours."""
    found = seeded(seeds, lambda seed: once(images, want, seed, scenario))
    near = abs(found["accuracy %"] - want.value) <= max(want.spread, LEAST)
    better = found["accuracy %"] > want.value
    return {
        "accuracy %": found["accuracy %"],
        **({"accuracy %_sd": found["accuracy %_sd"]} if "accuracy %_sd" in found else {}),
        "published %": want.value,
        "within": "yes" if near else "above" if better else "below",
        "seconds": round(found["seconds"], 1),
        "seeds": seeds,
    }


def once(images: Images, want: Published, seed: int, scenario: str = "") -> dict[str, float]:
    """Return accuracy on all test images, and processor seconds, of one run."""
    slow, tasks = bool(scenario), split(images)
    sizes = [images.side**2, *([400, 400] if slow else [100, 100]), 10]
    learner = fresh(
        lambda: perceptron(sizes, seed), want.strategies, seed, want.rate, torch.optim.Adam if slow else torch.optim.SGD,
        scenario="task" if scenario == "task" else "class", rivals="seen" if slow else "all",
    )  # fmt: skip
    life = Life(batch=128, steps=2000, asked=scenario == "task") if slow else Life(batch=10)
    if want.all_at_once:
        tasks = [joint(tasks)]
    lived = live(learner, tasks, life, seed)
    right = [a * len(t.test.y) for a, t in zip(lived.accuracies.ends[-1].accuracies, tasks, strict=True)]
    share = sum(right) / sum(len(t.test.y) for t in tasks)
    mean = sum(lived.accuracies.ends[-1].accuracies) / len(tasks)
    return {"accuracy %": mean if scenario == "task" else share, "seconds": lived.seconds}
