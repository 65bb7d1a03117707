"""Reservoirs that adapt their inhibition, over random starts: 100 units whose balance (-0.5 to 0.5) and strength are drawn.

`drawn at random` is left as it was drawn, `searched` takes the best of 6 pairs of balance and strength by data of its
own, task by task; three rows fix the balance. Strengths lie between 0.5 and 1, in the last rows up to 4. One that adapts
reads the beginning of its input before, without targets. Mackey-Glass is predicted 20 steps ahead; errors are relative to
the standard deviation.
"""

from __future__ import annotations

from itertools import product as each

import torch

from mnemos.bench.neural.recurrence import signals
from mnemos.neural.recurrent.homeostatic import HomeostaticReservoir

UNITS, STEPS, LAGS, AHEAD = 100, 2000, 60, 20
ADAPTED = 1200  # tokens of its input that a reservoir adapts to, all of them before what is reported
BALANCES = {"excitation dominates (+0.5)": 0.5, "balanced (0)": 0.0, "slightly inhibited (-0.2)": -0.2}
WIDE = ", strength up to 4"
ROWS = ("adapted", "drawn at random", "searched", *BALANCES, f"adapted{WIDE}", f"drawn at random{WIDE}")
GRID = tuple(each((-0.3, 0.1), (0.5, 1.0, 2.0)))
TASKS = ("capacity", "NARMA-10", "Mackey-Glass")


def one(row: str, seed: int) -> dict[str, float]:
    """Return the figures of a start."""
    rng = torch.Generator().manual_seed(seed)
    balance = float(torch.rand(1, generator=rng) - 0.5)
    strength = float(0.5 * (8 if row.endswith(WIDE) else 2) ** torch.rand(1, generator=rng))
    if row == "searched":
        found = [scores(b, s, seed) for b, s in GRID]
        return {task: max((f[task] for f in found), key=lambda pair: pair[0])[1] for task in TASKS}
    return {
        task: pair[1]
        for task, pair in scores(BALANCES.get(row, balance), strength, seed, row.startswith("adapted")).items()
    }


def scores(balance: float, strength: float, seed: int, adapted: bool = False) -> dict[str, tuple[float, float]]:
    """Return of each task what to choose by, more being better, and what to report; one that adapts reads inputs before."""
    x, drive = signals.noise(STEPS, seed), signals.noise(STEPS, 100 + seed, 0.0, 0.5)
    series = signals.mackey_glass(STEPS + AHEAD)
    inputs = {"capacity": x, "NARMA-10": drive, "Mackey-Glass": 2 * series[:STEPS]}
    found = {}
    for task, read in inputs.items():
        layer = HomeostaticReservoir(1, UNITS, balance=balance, strength=strength, seed=seed)
        if adapted:
            layer.adapt(read[None, :ADAPTED, None], rate=0.01)
        seen = signals.read(layer, read)[0]
        if task == "capacity":
            by, told = signals.capacity(seen, x, LAGS)
            found[task] = float(by.sum()), float(told.sum())
            continue
        chosen, error = signals.error(seen, signals.narma10(drive) if task == "NARMA-10" else series[AHEAD:])
        found[task] = -chosen, error
    return found
