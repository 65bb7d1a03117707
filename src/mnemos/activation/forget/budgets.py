"""Sharing a budget: whole numbers in proportion to weights, within bounds, that add up exactly."""

from __future__ import annotations

import torch
from torch import Tensor


def allocate(weights: Tensor, total: int, low: int, high: int) -> Tensor:
    """Return whole numbers of the shape of `weights` (none below 0) that sum to `total`, each from `low` to `high`.

    Each gets `low` and the rest is shared by weight; what one cannot hold goes to the others, largest remainders first.
    Equal weights where all are 0. `total` is brought into what `low` and `high` allow; `low` gives way where it must.
    """
    flat = weights.detach().flatten().double().cpu()
    count = len(flat)
    total = min(total, high * count)
    low = min(low, total // count)
    share = torch.full((count,), float(low), dtype=torch.float64)
    open_ = torch.full((count,), high > low)
    left = float(total - low * count)
    while left > 1e-9 and bool(open_.any()):
        weight = torch.where(open_, flat, 0.0)
        weight = weight if weight.sum() > 0 else open_.double()
        wanted = share + left * weight / weight.sum()
        share = wanted.clamp(max=high)
        left, open_ = total - float(share.sum()), share < high - 1e-9
    whole = share.add(1e-9).floor()
    rest = share - whole
    missing = round(total - float(whole.sum()))
    whole[rest.argsort(descending=True, stable=True)[:missing]] += 1
    return whole.long().view(weights.shape)
