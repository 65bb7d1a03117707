"""A method's life on a stream as a row: its figures over seeds, at the rate that is best on a seed that is not reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import CHOSEN_ON, Life, Lived, Strategies, fresh, live, perceptron
from mnemos.bench.parametric.learning.streams import Task
from mnemos.bench.parts import Row, seeded
from mnemos.errors import ModelError
from mnemos.parametric.consolidate.base import Rivals
from mnemos.parametric.consolidate.learner import Learner

RATES = (0.03, 0.1)
RATE = (0.1,)  # of parts in which all rows learn at one rate
Run = Callable[[Any, int], Mapping[str, float]]  # figures of a choice and a seed


def learner_of(
    strategies: Strategies, sizes: Sequence[int], rate: float, seed: int, rivals: Rivals = "all", momentum: float = 0.0
) -> Learner:
    """Return a learner of a perceptron under SGD."""
    optimiser = partial(torch.optim.SGD, momentum=momentum)
    return fresh(lambda: perceptron(sizes, seed), strategies, seed, rate, optimiser, rivals=rivals)


def lived(
    tasks: Sequence[Task],
    strategies: Strategies,
    sizes: Sequence[int],
    rate: float,
    seed: int,
    life: Life | None = None,
) -> Lived:
    """Return a life of such a learner."""
    return live(learner_of(strategies, sizes, rate, seed), tasks, life, seed)


def short(found: Lived) -> dict[str, float]:
    """Return the figures that most rows show."""
    figures = found.figures()
    return {
        "accuracy %": figures["accuracy"],
        "forgetting %": figures["forgetting"],
        "just learned %": figures["learning"],
        "kB held": figures["nbytes"] / 1000,
        "seconds": figures["seconds"],
    }


def row_of(
    run: Run,
    seeds: int,
    choices: Sequence[Any] = RATES,
    name: str = "rate",
    by: str = "accuracy %",
    lower: bool = False,
) -> Row:
    """Return the row of the choice whose figure `by` is best, the highest or the `lower`, on the seed that is not reported.

    A choice with which learning does not hold there is not taken. Raises ModelError where none holds.
    """
    best = chosen(run, choices, by, lower)
    return {**seeded(seeds, partial(run, best)), name: best}


def chosen(run: Run, choices: Sequence[Any], by: str = "accuracy %", lower: bool = False) -> Any:
    """Return the choice that `row_of` takes."""
    if len(choices) == 1:
        return choices[0]
    figures = {choice: held for choice in choices if (held := _held(run, choice)) is not None}
    if not figures:
        raise ModelError(f"learning holds with none of {', '.join(map(str, choices))}: offer smaller ones.")
    return (min if lower else max)(figures, key=lambda choice: figures[choice][by])


def _held(run: Run, choice: Any) -> Mapping[str, float] | None:
    try:
        return run(choice, CHOSEN_ON)
    except ModelError:
        return None
