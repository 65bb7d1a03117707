"""Learners beside each other on one stream, each with the knob that serves it best on a seed that is not reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnemos.bench.parametric.learning.lives import CHOSEN_ON, Life, Strategies, live, perceptron, shown_to_fail
from mnemos.bench.parametric.learning.streams import Images, Task, digits, permuted
from mnemos.bench.parts import Row, seeded
from mnemos.errors import ModelError
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
        chosen = options[0]
        if len(options) > 1:
            chosen = max(options, key=lambda o: tried(setting, trial, o[0], o[1]))
        row = seeded(seeds, lambda seed: once(setting, trial, chosen[0], chosen[1], seed))  # noqa: B023
        if len(trial.knobs) > 1:
            row["chosen"] = str(chosen[0])
        found[name] = row
    return found


def tried(setting: Setting, trial: Trial, knob: Any, rate: float) -> float:
    """Return the accuracy with a knob and a rate on the seed of choice; below 0 where learning does not hold."""
    try:
        return once(setting, trial, knob, rate, CHOSEN_ON)["accuracy %"]
    except ModelError:
        return -1.0


def once(setting: Setting, trial: Trial, knob: Any, rate: float, seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    learner, tasks = made(setting, trial, knob, rate, seed), setting.tasks(seed)
    lived = live(learner, tasks, setting.life, seed)
    figures, first = lived.figures(), lived.accuracies.ends[-1].accuracies[0]
    also = setting.also(learner, tasks) if setting.also else {}
    return {
        "accuracy %": figures["accuracy"], "first task %": first, "learned %": figures["learning"],
        "forgotten %": figures["forgetting"], **also,
    }  # fmt: skip


def made(setting: Setting, trial: Trial, knob: Any, rate: float, seed: int) -> Learner:
    """Return a learner that has not learned yet."""
    torch.manual_seed(seed)
    with shown_to_fail():
        return Learner(
            (trial.model or setting.model)(seed),
            trial.strategies(knob),
            optimise=partial(setting.optimiser, lr=rate),
            seed=seed,
            **{**setting.with_, **trial.with_},
        )


def five_permutations(data: Path) -> Setting:
    """Return five permutations of the pixels of digits, the same labels in all: what anchors and projections are compared on."""
    images = digits(data, side=14).fewer(train=50, test=50)
    life = Life(batch=16, epochs=4)
    return Setting(lambda seed: permuted(images, 5, seed), hidden(images, 100), life, {"scenario": "domain"})


def hidden(images: Images, *units: int) -> Callable[[int], nn.Module]:
    """Return what makes layers of some units between the pixels and the classes of images, by seed."""
    return lambda seed: perceptron([images.side**2, *units, images.classes], seed)
