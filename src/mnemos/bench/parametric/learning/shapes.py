"""The shape of a network decides how much it forgets: width and depth at one number of weights, and a search under a limit.

`measure`: 14 x 14 digits, 50 of each class, turned by 0 to 80 degrees, plain gradient descent at one rate; each depth has the
width that gives about 40,000 weights. `widths`: one hidden layer of more and more units. `crafted`: shapes drawn at random under
a limit of weights, the best on three seeds that are not reported beside the usual two layers of 100, in classes with a replay.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mnemos.bench.parametric.learning.lives import CHOSEN_ON, Life
from mnemos.bench.parametric.learning.streams import digits, rotated, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, hidden, once
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.shape_search import search

SIDE, CLASSES, WEIGHTS, ANGLES = 14, 10, 40_000, (0, 20, 40, 60, 80)
LIFE = Life(batch=16, epochs=4)
WIDTHS, DEPTHS = (20, 50, 200, 800), (1, 2, 3, 5)


def weights(units: tuple[int, ...]) -> int:
    """Return how many weights a perceptron of some hidden units has."""
    return sum((given + 1) * made for given, made in pairwise((SIDE**2, *units, CLASSES)))


def measure(options: Any) -> dict[str, Row]:
    """Return the rows of widths with one hidden layer, then of depths at one number of weights."""
    images = digits(options.data, side=SIDE).fewer(train=50, test=50)
    tasks = rotated(images, ANGLES)
    shapes: dict[str, tuple[int, ...]] = {f"one layer of {width}": (width,) for width in WIDTHS}
    for depth in DEPTHS:
        width = max(w for w in range(8, 400) if weights((w,) * depth) <= WEIGHTS)
        shapes[f"{depth} of {width}, about {WEIGHTS:,} weights"] = (width,) * depth
    found = {}
    for name, units in shapes.items():
        setting = Setting(lambda _: tasks, hidden(images, *units), LIFE, {"scenario": "domain"})
        found[name] = beside(setting, {name: Trial()}, options.seeds)[name] | {"weights": weights(units)}
    return found


def crafted(options: Any) -> dict[str, Row]:
    """Return the rows of the usual shape and of those that a search finds under limits."""
    images = digits(options.data, side=SIDE).fewer(train=100, test=50)
    usual: tuple[int, ...] = (100, 100)

    def setting(units: tuple[int, ...]) -> Setting:
        return Setting(lambda _: split(images), hidden(images, *units), LIFE)

    trial = Trial(lambda _: Replay(100, 16))

    def score(units: tuple[int, ...]) -> float:
        return sum(once(setting(units), trial, None, 0.1, CHOSEN_ON + i)["accuracy %"] for i in range(3))

    found = {"usual, two layers of 100": usual}
    for share in (1.0, 0.5, 0.2):
        best = search(score, weights, round(share * weights(usual)), tries=30, seed=CHOSEN_ON)
        found[f"searched, at most {share:.0%} of its weights"] = best
    rows = {}
    for name, units in found.items():
        row = beside(setting(units), {name: trial}, options.seeds)[name]
        rows[name] = {"hidden units": " - ".join(map(str, units)), "weights": weights(units), **row}
    return rows
