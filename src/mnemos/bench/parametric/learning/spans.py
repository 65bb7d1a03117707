"""A physical law learned in pieces of its domain: corrections of a frozen model, against fine-tuning, importance and replay.

The angle of a damped pendulum over 10 s (theta'' = -0.05 theta' - 9.81 sin theta, from rest at 1 rad), in five spans of 2 s. Each
span is learned from 60 samples; the error (RMSE, rad) is that over the whole domain after the last.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Composed, Strategy
from mnemos.parametric.consolidate.corrections import Corrections
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

SPANS, END, STEPS = 5, 10.0, 300
WAYS: dict[str, tuple[Strategy, ...]] = {
    "plain": (),
    "MAS": (Anchor(1.0, "sensitivity"),),
    "replay, 30": (Replay(30, 30),),
    "corrections": (Corrections(),),
    "corrections, replay 30": Corrections() + Replay(30, 30),
}


def measure(options: Any) -> dict[str, Row]:
    """Return the error over the whole domain, over the last span, and where the task is named, of each method."""
    return {name: seeded(options.seeds, partial(once, ways)) for name, ways in WAYS.items()}


def pendulum(times: int = 2001) -> tuple[Tensor, Tensor]:
    """Return times (N, 1) as shares of the domain, and angles (N, 1), by Runge-Kutta."""
    step, angle, speed = END / (times - 1), 1.0, 0.0
    angles = [angle]

    def slope(a: float, v: float) -> tuple[float, float]:
        return v, -0.05 * v - 9.81 * float(torch.sin(torch.tensor(a, dtype=torch.float64)))

    for _ in range(times - 1):
        a1, v1 = slope(angle, speed)
        a2, v2 = slope(angle + step / 2 * a1, speed + step / 2 * v1)
        a3, v3 = slope(angle + step / 2 * a2, speed + step / 2 * v2)
        a4, v4 = slope(angle + step * a3, speed + step * v3)
        angle, speed = angle + step / 6 * (a1 + 2 * a2 + 2 * a3 + a4), speed + step / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        angles.append(angle)
    return torch.linspace(0, 1, times)[:, None], torch.tensor(angles)[:, None]


def once(strategies: tuple[Strategy, ...], seed: int) -> dict[str, float]:
    """Return the errors of one life."""
    x, y = pendulum()
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    learner = Learner(
        model, Composed(strategies), scenario="domain", criterion=nn.functional.mse_loss, seed=seed,
        optimise=partial(torch.optim.Adam, lr=5e-3),
    )  # fmt: skip
    size, generator = len(x) // SPANS, torch.Generator().manual_seed(seed)
    for span in range(SPANS):
        rows = span * size + torch.randperm(size, generator=generator)[:60]
        for _ in range(STEPS):
            some = rows[torch.randint(len(rows), (30,), generator=generator)]
            learner.observe(x[some], y[some], span)
    learner.end_task()
    off = (learner.predict(x) - y).square()
    named = torch.cat([(learner.predict(a, t) - b).square() for t, (a, b) in enumerate(_spans(x, y, size))])
    row = {"error": float(off.mean().sqrt()), "error of the last span": float(off[-size:].mean().sqrt())}
    return row | {"error, span named": float(named.mean().sqrt())}


def _spans(x: Tensor, y: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    return [(x[i * size : (i + 1) * size], y[i * size : (i + 1) * size]) for i in range(SPANS)]
