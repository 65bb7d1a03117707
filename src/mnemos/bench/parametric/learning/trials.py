"""Learners beside each other on one stream, each with the knob that serves it best on a seed that is not reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnemos.bench.parametric.learning.lives import Life, Strategies, fresh, live, perceptron
from mnemos.bench.parametric.learning.methods import chosen
from mnemos.bench.parametric.learning.streams import Images, Task, digits, permuted
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.learner import Learner

Columns = Callable[[Learner, Sequence[Task]], Mapping[str, float]]  # of a learner at the end of its life


def none(_: Any) -> Strategies:
    """Return no strategy: plain learning."""
    return ()


@dataclass(frozen=True)
class Trial:
    """One way to learn; `knobs` are what it may choose from."""

    strategies: Callable[[Any], Strategies] = none  # of a knob
    knobs: tuple[Any, ...] = (None,)
    rates: tuple[float, ...] = (0.1,)  # of the optimiser
    with_: Mapping[str, Any] = field(default_factory=dict)  # settings of its learner, such as rivals
    model: Callable[[int], nn.Module] | None = None  # in the place of the setting's


@dataclass(frozen=True)
class Setting:
    """What all of them learn, and how."""

    tasks: Callable[[int], list[Task]]  # by seed
    model: Callable[[int], nn.Module]  # by seed
    life: Life
    with_: Mapping[str, Any] = field(default_factory=dict)  # settings of every learner, such as scenario
    also: Columns | None = None  # further columns
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.SGD


def beside(setting: Setting, trials: Mapping[str, Trial], seeds: int) -> dict[str, Row]:
    """Return the figures of every trial as means over seeds, with what was chosen for it."""
    found = {}
    for name, trial in trials.items():
        options = [(knob, rate) for rate in trial.rates for knob in trial.knobs]

        def run(option: tuple[Any, float], seed: int, trial: Trial = trial) -> dict[str, float]:
            return once(setting, trial, *option, seed)

        best = chosen(run, options)
        found[name] = seeded(seeds, partial(run, best))
        if len(trial.knobs) > 1:
            found[name]["chosen"] = str(best[0])
    return found


def once(setting: Setting, trial: Trial, knob: Any, rate: float, seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    learner = fresh(
        lambda: (trial.model or setting.model)(seed), trial.strategies(knob), seed, rate, setting.optimiser,
        **{**setting.with_, **trial.with_},
    )  # fmt: skip
    tasks = setting.tasks(seed)
    lived = live(learner, tasks, setting.life, seed)
    figures, first = lived.figures(), lived.accuracies.ends[-1].accuracies[0]
    also = setting.also(learner, tasks) if setting.also else {}
    return {
        "accuracy %": figures["accuracy"], "first task %": first, "learned %": figures["learning"],
        "forgotten %": figures["forgetting"], **also,
    }  # fmt: skip


def five_permutations(data: Path) -> Setting:
    """Return five permutations of the pixels of digits, the same labels in all: what anchors and projections are compared on."""
    images = digits(data, side=14).fewer(train=50, test=50)
    life = Life(batch=16, epochs=4)
    return Setting(lambda seed: permuted(images, 5, seed), hidden(images, 100), life, {"scenario": "domain"})


def hidden(images: Images, *units: int) -> Callable[[int], nn.Module]:
    """Return what makes layers of some units between the pixels and the classes of images, by seed."""
    return lambda seed: perceptron([images.side**2, *units, images.classes], seed)
