"""Sums of powers of gradients by weight: what all measures of a weight's importance are made of."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def add_powers(
    total: Mapping[str, Tensor],
    cost: Tensor,
    weights: Mapping[str, Tensor],
    power: int,
    share: float = 1.0,
    again: bool = False,
) -> None:
    """Add share * |d cost / d weight|^power to the sums, in place; `again`: another cost of the same pass will come."""
    back = torch.autograd.grad(cost, list(weights.values()), retain_graph=again, allow_unused=True)
    for name, gradient in zip(weights, back, strict=True):
        if gradient is not None:
            total[name].add_(gradient.detach().abs() ** power * share)
