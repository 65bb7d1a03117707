"""What an error weighs: kernels of a linear network learned with equal weights, growing ones, and the last step alone.

A diagonal linear network of 32 units learns y_t = sum_s rho(s) x_{t-s} of white noise, 100 steps long, 500 steps of 64
sequences. The slow kernel is (1 + s / 10)^-0.5, the fast one exp(-s / 4). Errors of the kernel are relative to rho, over the
first 20 and the last 40 lags; the gradient is what comes from lags above 60, relative to lags below 20, before training.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from mnemos.neural.recurrent.rescaled_error import rescaled_error

LENGTH, UNITS, STEPS, BATCH = 100, 32, 500, 64
POWERS = {"equal weights": 0.0, "growing weights": 3.0, "the last steps": 30.0}
ROWS = tuple(f"{kind}, {weights}" for kind in ("slow kernel", "fast kernel") for weights in POWERS)


def one(row: str, seed: int) -> dict[str, float]:
    """Return the errors of a kernel that was learned by an error."""
    kind, _, weights = row.partition(", ")
    lags = torch.arange(LENGTH)
    rho = (1 + lags / 10) ** -0.5 if kind == "slow kernel" else torch.exp(-lags / 4)
    torch.manual_seed(seed)
    slow = torch.nn.Parameter(torch.linspace(-1.0, 3.5, UNITS))  # logits of the decays: time scales 0.4 to 30
    out = torch.nn.Parameter(0.1 * torch.randn(UNITS))
    optimiser = torch.optim.Adam([slow, out], lr=1e-2)
    late = 0.0
    for step in range(STEPS):
        learned = kernel(slow, out)
        learned.retain_grad()
        x = torch.randn(BATCH, LENGTH, generator=Generator().manual_seed(1_000_003 * seed + step))
        loss = rescaled_error(x @ toeplitz(learned), x @ toeplitz(rho), POWERS[weights])
        optimiser.zero_grad()
        loss.backward()
        if step == 0 and learned.grad is not None:
            late = float(learned.grad[60:].norm() / learned.grad[:20].norm())
        optimiser.step()
    off = (kernel(slow, out) - rho).detach()
    return {
        "error at short lags": float(off[:20].norm() / rho.norm()),
        "error at long lags": float(off[60:].norm() / rho.norm()),
        "gradient of long lags": late,
    }


def kernel(slow: Tensor, out: Tensor) -> Tensor:
    """Return the kernel (T) of units that decay: sum of out_i decay_i^s."""
    decay = torch.nn.functional.logsigmoid(slow)
    return out @ torch.exp(decay[:, None] * torch.arange(LENGTH))


def toeplitz(values: Tensor) -> Tensor:
    """Return the matrix (T, T) by which a sequence is convolved with a kernel."""
    place = torch.arange(LENGTH)
    back = place[None, :] - place[:, None]
    return torch.where(back >= 0, values[back.clamp_min(0)], 0.0)
