"""Reservoirs that adapt their inhibition, over random starts: 100 units whose balance and strength are drawn.

`drawn at random` is left as it was drawn, `searched` takes the best of 6 pairs of balance and strength by data of its
own, task by task; the last rows fix the balance. Mackey-Glass is predicted 20 steps ahead; errors are relative to the
standard deviation.
"""

from __future__ import annotations

from itertools import product as each

import torch

from mnemos.bench.neural.recurrence import signals
from mnemos.neural.recurrent.homeostatic import HomeostaticReservoir

UNITS, STEPS, LAGS, AHEAD = 100, 2000, 60, 20
BALANCES = {"excitation dominates (+0.5)": 0.5, "balanced (0)": 0.0, "slightly inhibited (-0.2)": -0.2}
ROWS = ("adapted", "drawn at random", "searched", *BALANCES)
GRID = tuple(each((-0.3, 0.1), (0.5, 1.5, 4.0)))
TASKS = ("capacity", "NARMA-10", "Mackey-Glass")


def one(row: str, seed: int) -> dict[str, float]:
    """Return the figures of a start."""
    rng = torch.Generator().manual_seed(seed)
    balance = float(torch.rand(1, generator=rng) - 0.5)
    strength = float(0.5 * 8 ** torch.rand(1, generator=rng))
    if row == "searched":
        found = [scores(HomeostaticReservoir(1, UNITS, balance=b, strength=s, seed=seed), seed) for b, s in GRID]
        return {task: max((f[task] for f in found), key=lambda pair: pair[0])[1] for task in TASKS}
    balance = BALANCES.get(row, balance)
    spread = 0.0 if row == "adapted, one target" else 0.1
    layer = HomeostaticReservoir(1, UNITS, balance=balance, strength=strength, spread=spread, seed=seed)
    if row.startswith("adapted"):
        layer.adapt(signals.noise(1500, 200 + seed)[None, :, None], rate=0.05)
    return {task: pair[1] for task, pair in scores(layer, seed).items()}


def scores(layer: HomeostaticReservoir, seed: int) -> dict[str, tuple[float, float]]:
    """Return of each task what to choose by, more being better, and what to report."""
    x, drive = signals.noise(STEPS, seed), signals.noise(STEPS, 100 + seed, 0.0, 0.5)
    series = signals.mackey_glass(STEPS + AHEAD)
    seen, driven, followed = signals.read(layer, x, drive, 2 * series[:STEPS])
    by, told = signals.capacity(seen, x, LAGS)
    narma = signals.error(driven, signals.narma10(drive))
    glass = signals.error(followed, series[AHEAD:])
    return {
        "capacity": (float(by.sum()), float(told.sum())), "NARMA-10": (-narma[0], narma[1]),
        "Mackey-Glass": (-glass[0], glass[1]),
    }  # fmt: skip
