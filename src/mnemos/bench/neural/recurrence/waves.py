"""Copying after a delay: waves against the same network without their start, and against an identity network.

Eight symbols of eight are shown, and asked again after a number of blanks; chance is 12.5 %. All have 256 units;
at most 400 steps of 32 sequences. Steps are those until 99 % are right, 400 where that was not reached.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from mnemos.bench.neural.recurrence.plain import Plain, fit
from mnemos.bench.neural.sequences import Copying
from mnemos.neural.model import Layer
from mnemos.neural.training import UNASKED, Batch, Recipe

LAYERS: dict[str, tuple[Layer, float]] = {
    "wave-rnn": (("wave-rnn", {"rings": 4, "places": 64}), 3e-3),
    "wave-rnn, random start": (("wave-rnn", {"rings": 4, "places": 64, "start": "random"}), 3e-3),
    "identity rnn": (("tanh-rnn", {"hidden": 256, "start": "identity"}), 3e-4),
}
ROWS = tuple(LAYERS)
DELAYS = (20,)


def one(row: str, seed: int) -> dict[str, float]:
    """Return the shares and steps of a network by delay."""
    layer, rate = LAYERS[row]
    found: dict[str, float] = {}
    for delay in DELAYS:
        copying = Copying(blanks=delay, marks=8, symbols=8)

        def task(count: int, rng: Generator, copying: Copying = copying) -> Batch:
            inputs, targets = copying(count, rng)
            return Batch(torch.nn.functional.one_hot(inputs, copying.vocabulary).float(), targets)

        _, report, right = fit(
            lambda: Plain(10, 10, 16, layer), task, Recipe(steps=400, rate=rate, decay=0.0, goal=0.99, check=25),
            seed, score=share,
        )  # fmt: skip
        found |= {f"right after {delay}": right, f"steps, {delay}": float(report.steps)}
    return found


def share(outputs: Tensor, wanted: Tensor) -> float:
    """Return the share of asked tokens whose class is the likeliest."""
    asked = wanted != UNASKED
    return float((outputs.argmax(-1) == wanted)[asked].double().mean())
