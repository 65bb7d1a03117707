"""Probes of how long a recurrent layer remembers: gradients by lag, time scales, forgetting curves.

B sequences   T tokens   D channels   N units   K lags
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer
from mnemos.neural.recurrent.ridge import ridge


def gradients_by_lag(layer: Mixer, x: Tensor) -> Tensor:
    """Return the norm (T) of the gradient of the last output with respect to the token k steps before it, k from 0 on.

    In a tanh network it falls like a power of the lag's base; in one that remembers it does not (arXiv 1506.00019).
    """
    x = x.detach().requires_grad_(True)
    y, _ = layer(x)
    last = y[:, -1]
    weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(0)).to(last)
    (gradient,) = torch.autograd.grad((last * weights).sum(), x)
    return gradient.norm(dim=-1).mean(0).flip(0)


def timescale(weights: Tensor) -> float:
    """Return -1 / ln |lambda|, the slowest time scale of a recurrent matrix (N, N), in tokens; inf from |lambda| = 1 on.

    Logged during training it tells when a network learns to remember: one eigenvalue leaves the others and goes towards 1
    (arXiv 2503.18754).
    """
    if weights.dim() != 2 or weights.shape[0] != weights.shape[1]:
        raise InvalidInput(f"weights are {tuple(weights.shape)}: give a square matrix.")
    largest = float(torch.linalg.eigvals(weights.detach().double()).abs().max())
    return math.inf if largest >= 1 else 0.0 if largest == 0 else -1 / math.log(largest)


def autocorrelation_time(activity: Tensor, lags: int = 50) -> Tensor:
    """Return how many steps the autocorrelation of each unit (T, N) takes to fall below 1 / e; `lags` where it does not."""
    if not 0 < lags < len(activity):
        raise InvalidInput(f"lags is {lags} of {len(activity)} steps: give at least 1, and fewer than the steps.")
    centred = activity.double() - activity.double().mean(0)
    variance = centred.square().mean(0).clamp_min(1e-12)
    curve = torch.stack([(centred[k:] * centred[: len(centred) - k]).mean(0) / variance for k in range(lags + 1)])
    below = curve < 1 / math.e
    return torch.where(below.any(0), below.to(torch.uint8).argmax(0), torch.full_like(below[0], lags, dtype=torch.long))


def forgetting_curve(features: Tensor, inputs: Tensor, lags: int, washout: int = 100, penalty: float = 1e-12) -> Tensor:
    """Return r^2 (K) between the input k steps before and its best linear readout of features (T, F), k = 1 .. lags.

    inputs (T) are white noise. The readout is fitted on the first half and judged on the second. The sum over all lags is
    the memory capacity; it depends on the scale of the input (arXiv 2502.04832), so show the curve, by scale.
    """
    T = len(inputs)
    if len(features) != T or lags < 1 or 2 * (washout + lags) > T:
        raise InvalidInput(
            f"there are {T} inputs and {len(features)} features: give more than {2 * (washout + lags)} of both."
        )
    first = max(washout, lags)
    wanted = torch.stack([inputs[first - k : T - k] for k in range(1, lags + 1)], 1).double()
    seen, half = features[first:].double(), (T - first) // 2
    weights, bias = ridge(seen[:half], wanted[:half], penalty)
    return r_squared(seen[half:] @ weights.T + bias, wanted[half:])


def r_squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared correlation of each column of outputs and targets (T, K); 0 where an output is constant."""
    a, b = outputs - outputs.mean(0), targets - targets.mean(0)
    both = (a * b).mean(0).square()
    scale = a.square().mean(0) * b.square().mean(0)
    return torch.where(scale > 1e-24, both / scale.clamp_min(1e-24), torch.zeros_like(scale))
