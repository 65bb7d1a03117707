"""Forecasts of series with several periods: a linear forecaster, and the same with layers that read patches.

A series is a daily and a weekly wave (24 and 168 steps) whose sizes drift, a slow trend, and noise that fades over 5
steps. Models see 192 steps, forecast 48, and train for 300 steps of 64 windows on 6,000 steps of the series; errors are mean
squares over windows of the 2,000 steps after. The noise alone has 0.04.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from mnemos.neural.model import Layer
from mnemos.neural.recurrent.forecaster import Forecaster

SEEN, AHEAD, TRAIN, ALL = 192, 48, 6000, 8000
LAYERS: dict[str, list[Layer]] = {
    "linear": [], "xlstm-time, slstm": ["slstm"], "xlstm-time, mlstm": ["mlstm"], "xlstm-time, lstm": ["lstm"],
}  # fmt: skip
ROWS = tuple(LAYERS)


def series(seed: int) -> Tensor:
    """Return a series (ALL)."""
    rng = Generator().manual_seed(seed)
    t, noise = torch.arange(ALL), torch.randn(ALL, generator=rng)
    faded = torch.zeros(ALL)
    for i in range(1, ALL):
        faded[i] = 0.8 * faded[i - 1] + 0.12 * noise[i]
    drift = 1 + 0.3 * torch.sin(2 * math.pi * t / 1500 + float(noise[0]))
    return (
        drift * torch.sin(2 * math.pi * t / 24) + 0.7 * torch.sin(2 * math.pi * t / 168 + float(noise[1]))
        + torch.sin(2 * math.pi * t / 4000) + faded
    )  # fmt: skip


def windows(values: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is seen (B, L) and what follows (B, S) at each start."""
    places = starts[:, None] + torch.arange(SEEN + AHEAD)
    return values[places[:, :SEEN]], values[places[:, SEEN:]]


def one(row: str, seed: int) -> dict[str, float]:
    """Return the error of a forecaster."""
    values = series(seed)
    torch.manual_seed(seed)
    model = Forecaster(SEEN, AHEAD, LAYERS[row])
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, 300)
    for step in range(300):
        rng = Generator().manual_seed(1_000_003 * seed + step)
        x, wanted = windows(values, torch.randint(TRAIN - SEEN - AHEAD, (64,), generator=rng))
        loss = (model(x) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        x, wanted = windows(values, torch.arange(TRAIN, ALL - SEEN - AHEAD, 7))
        error = float((model(x) - wanted).square().mean())
        constant = float((x[:, -1:] - wanted).square().mean())
    return {"MSE": error, "of the last value": constant, "weights": float(sum(p.numel() for p in model.parameters()))}
