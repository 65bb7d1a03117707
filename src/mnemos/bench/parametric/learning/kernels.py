"""Kernel classifiers whose samples are generated, against stored ones: digits in five tasks of two classes, five passes.

`measure`: no task is named, neither in learning nor in answers; "task named %" is asked besides. `named`: both name the task.
Kernel and rate are chosen on a seed that is not reported, for every row among the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import Life, accuracy
from mnemos.bench.parametric.learning.rehearsal import SIDE
from mnemos.bench.parametric.learning.streams import Task, digits, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, hidden
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.generative_kernel import GenerativeKernel, Kernel
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

RATES = (1e-3, 3e-3)
KERNELS: tuple[Kernel, ...] = ("linear", "rbf")


def kernel(stored: int = 0, kernels: Sequence[Kernel] = KERNELS, **knobs: Any) -> Trial:
    """Return a way to learn by a kernel, of stored samples a class, with contrast or without, or of generated ones."""
    if not stored:
        return Trial(lambda of: GenerativeKernel(kernel=of, **knobs), tuple(kernels), RATES)
    choices = tuple((of, contrast) for of in kernels for contrast in (0.0, 1.0))
    return Trial(lambda knob: GenerativeKernel(stored=stored, kernel=knob[0], contrast=knob[1]), choices, RATES)


def measure(options: Any) -> dict[str, Row]:
    """Return the rows of learning without tasks' names: stored samples, generated ones by their number, and no contrast."""
    return beside(setting(options, "class"), ways(), options.seeds)


def ways() -> dict[str, Trial]:
    """Return every way."""
    return {
        "plain": Trial(rates=RATES),
        "replay, 10 a class": Trial(lambda _: Replay(100, 10, "balanced"), rates=RATES),
        "kernel, 10 stored a class": kernel(stored=10),
        "kernel, 50 stored a class": kernel(stored=50),
        **{f"kernel, {n} generated a class": kernel(samples=n) for n in (1, 5, 50, 200)},
        "kernel, 50 generated a class, no contrast": kernel(contrast=0.0),
        "linear kernel, 50 generated a class": kernel(kernels=("linear",)),
        "linear kernel, 50 generated a class, no contrast": kernel(kernels=("linear",), contrast=0.0),
    }


def named(options: Any) -> dict[str, Row]:
    """Return the rows of learning with the tasks' names: a kernel for each task."""
    chosen = ("kernel, 10 stored a class", "kernel, 50 generated a class", "kernel, 50 generated a class, no contrast")
    return beside(setting(options, "task"), {name: ways()[name] for name in chosen}, options.seeds)


def setting(options: Any, scenario: str) -> Setting:
    """Return what is learned, and how."""
    images = digits(options.data, side=SIDE).fewer(train=500, test=100)
    life = Life(batch=20, epochs=5, asked=scenario == "task")
    return Setting(
        lambda _: split(images), hidden(images, 100), life, {"scenario": scenario}, besides, torch.optim.Adam
    )


def besides(learner: Learner, tasks: Sequence[Task]) -> dict[str, float]:
    """Return the accuracy where the task is named, and what is held."""
    right = [accuracy(learner, task.test, number) for number, task in enumerate(tasks)]
    return {"task named %": sum(right) / len(right), "kB held": learner.nbytes / 1000}
