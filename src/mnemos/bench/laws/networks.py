"""How the small perceptrons of the laws are fitted: full batches, Adam, squared error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def fitted(net: Any, x: Tensor, y: Tensor, steps: int, rate: float, enough: float = 0.0) -> float:
    """Fit a network to y (N, C) of x (N, D), in place, until the mean squared error is `enough`; return that error."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(steps):
        loss = (net(x) - y).square().mean()
        if float(loss.detach()) <= enough:
            break
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    left: float = error(net, x, y)
    return left


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def error(net: Any, x: Tensor, y: Tensor) -> float:
    """Return the mean squared error."""
    return float((net(x) - y).square().mean())
