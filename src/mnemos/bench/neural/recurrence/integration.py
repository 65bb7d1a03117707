"""How a linear network learns to integrate noise: one eigenvalue leaves the others and goes to the time scale asked for.

h_t = W h_{t-1} + u x_t, y_t = v' h_t, 64 units, trained by gradient descent from a small random W and u = v of length 0.1 to
y*_t = sum_s exp(-s / 10) x_{t-s}; for white noise the loss is the squared difference of the kernels, in closed form. From
W = 0 nothing else is learned than W = lambda e e' and u = v = a e, so two numbers follow from an ordinary differential
equation without a fit: the curve.
- off: the largest difference between the outlier and that curve, relative to the curve, once it is above the bulk.
- detached and plateau: the step at which the outlier leaves the bulk (1.5 times the radius of W at the start), and at which
  the loss has fallen by a fifth (what lag 0 holds is a sixth).
- second eigenvalue: the largest of the others at the end, which stay the bulk that they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.neural.recurrent.probes import timescale

UNITS, LAGS, STEPS, RATE, TAU = 64, 50, 2000, 1e-3, 10.0
STARTS = {"W of radius 0.05": 0.05, "W of radius 0.2": 0.2}
ROWS = tuple(STARTS)


def one(row: str, seed: int) -> dict[str, float]:
    """Return how the eigenvalue moves from a start."""
    return moved(STARTS[row], seed)


def moved(radius: float, seed: int, trace: dict[int, tuple[float, float, float]] | None = None) -> dict[str, float]:
    """Return how the eigenvalue moves from a W of a radius; `trace` gets it, the curve and the loss, over the first, by step."""
    rng = torch.Generator().manual_seed(seed)
    W = (radius * torch.randn(UNITS, UNITS, generator=rng).double() / UNITS**0.5).requires_grad_(True)
    u = 0.1 * torch.nn.functional.normalize(torch.randn(UNITS, generator=rng).double(), dim=0)
    weights = [W, u.requires_grad_(True), u.detach().clone().requires_grad_(True)]
    lags = torch.arange(LAGS).double()
    kappa = torch.exp(-lags / TAU)
    curve = Curve(0.1, float((100 * u @ W @ u).detach()))
    off, detached, plateau, first = 0.0, 0, 0, 0.0
    for step in range(STEPS):
        loss = (kernel(*weights) - kappa).square().sum()
        gradients = torch.autograd.grad(loss, weights)
        first = first or float(loss.detach())
        if not plateau and loss < 0.8 * first:
            plateau = step
        if step % 20 == 0:
            largest = float(torch.linalg.eigvals(W.detach()).abs().max())
            if not detached and largest > 1.5 * radius:
                detached = step
            if trace is not None:
                trace[step] = largest, curve.eigenvalue, float(loss.detach()) / first
            if detached and curve.eigenvalue > 2 * radius:
                off = max(off, abs(largest - curve.eigenvalue) / curve.eigenvalue)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= RATE * gradient
        curve.step(lags, kappa)
    return {
        "off": off, "detached": float(detached), "plateau": float(plateau), "time scale at the end": timescale(W),
        "second eigenvalue": float(torch.linalg.eigvals(W.detach()).abs().sort().values[-2]),
        "loss at the end": float((kernel(*weights) - kappa).square().sum().detach()) / first,
    }  # fmt: skip


@dataclass
class Curve:
    """The two numbers of the equation, moved by Euler's method with the rate of training."""

    size: float  # of u and v, a
    eigenvalue: float  # lambda

    def step(self, lags: Tensor, kappa: Tensor) -> None:
        """Move both by the gradient of the loss."""
        a, power = self.size, self.eigenvalue**lags
        wrong = 2 * (a * a * power - kappa)
        slope = lags * self.eigenvalue ** (lags - 1).clamp_min(0)
        self.size = a - RATE * float((wrong * a * power).sum())
        self.eigenvalue -= RATE * float((wrong * a * a * slope)[1:].sum())


def kernel(W: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return v' W^s u (LAGS)."""
    h, found = u, []
    for _ in range(LAGS):
        found.append(v @ h)
        h = W @ h
    return torch.stack(found)
