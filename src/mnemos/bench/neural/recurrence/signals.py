"""Signals that reservoirs remember, and the errors of their readouts.

T steps   F features   K targets
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Generator, Tensor

from mnemos.neural.recurrent.probes import r_squared
from mnemos.neural.recurrent.reservoir import Reservoir
from mnemos.neural.recurrent.ridge import ridge

WASHOUT = 200  # steps that are not looked at
PENALTY = 1e-9


def noise(steps: int, seed: int, low: float = -0.8, high: float = 0.8) -> Tensor:
    """Return uniform white noise (T)."""
    return low + (high - low) * torch.rand(steps, generator=Generator().manual_seed(seed))


def narma10(x: Tensor) -> Tensor:
    """Return NARMA-10 (T) of an input in [0, 0.5]: a nonlinear moving average of ten steps (Atiya and Parlos, 2000)."""
    u, y = x.double().tolist(), [0.0] * len(x)
    for t in range(9, len(u) - 1):
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * sum(y[t - 9 : t + 1]) + 1.5 * u[t - 9] * u[t] + 0.1
    return torch.tensor(y)


def delayed_sine(x: Tensor) -> Tensor:
    """Return (T) the sine of pi times what was read 10 steps ago: memory and nonlinearity at once."""
    return torch.sin(torch.pi * x.roll(10))


@cache
def mackey_glass(steps: int, delay: int = 17) -> Tensor:
    """Return the Mackey-Glass series (T), one step of Euler's method in ten a step, centred."""
    fine, values = 10, [1.2] * (delay * 10 + 1)
    for _ in range((steps + 500) * fine):
        past, now = values[-delay * fine - 1], values[-1]
        values.append(now + (0.2 * past / (1 + past**10) - 0.1 * now) / fine)
    series = torch.tensor(values[-steps * fine :: fine])
    return series - series.mean()


def read(layer: Reservoir, *signals: Tensor) -> list[Tensor]:
    """Return the features (T, F) of each of several signals (T), read side by side, in float64 throughout."""
    with torch.no_grad():
        return list(layer.double().features(torch.stack(signals).double()[..., None])[0])


def split(features: Tensor, targets: Tensor, penalty: float = PENALTY) -> tuple[Tensor, Tensor]:
    """Fit on the first 60 %; return outputs and targets (steps, K) of the next 20 %, and of the last: (2, steps, K) each."""
    features, targets = features[WASHOUT:].double(), targets[WASHOUT:].double()
    cut = int(0.6 * len(features))
    each = (len(features) - cut) // 2
    weights, bias = ridge(features[:cut], targets[:cut], penalty)
    ends = slice(cut, cut + 2 * each)
    shape = (2, each, -1)
    return (features[ends] @ weights.T + bias).view(shape), targets[ends].view(shape)


def capacity(features: Tensor, x: Tensor, lags: int) -> tuple[Tensor, Tensor]:
    """Return r^2 by lag (K), 1 to `lags`, on the part to choose by and the part to report."""
    wanted = torch.stack([x.roll(k) for k in range(1, lags + 1)], 1)
    outputs, targets = split(features, wanted)
    chosen, reported = (r_squared(a, b) for a, b in zip(outputs, targets, strict=True))
    return chosen, reported


def error(features: Tensor, target: Tensor) -> tuple[float, float]:
    """Return the error relative to the target's standard deviation (NRMSE), on the part to choose by and to report."""
    outputs, targets = split(features, target[:, None])
    both = [
        float(((a - b).square().mean() / b.var(correction=0)).sqrt()) for a, b in zip(outputs, targets, strict=True)
    ]
    return both[0], both[1]
