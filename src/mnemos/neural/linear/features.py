"""Features of keys and queries whose products are polynomials of the products of what they are made from."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput


def taylor(x: Tensor, degree: int = 2) -> Tensor:
    """Return features (..., F) of x (..., C) with f(q) . f(k) = 1 + q.k + (q.k)^2 / 2 up to `degree` (0 to 2).

    Equal products are kept once, so F is `size(C, degree)`. Source: arXiv 2402.18668 (Based).
    """
    parts = [torch.ones_like(x[..., :1])]
    if degree > 0:
        parts.append(x)
    if degree > 1:
        row, column = torch.triu_indices(x.shape[-1], x.shape[-1], device=x.device).unbind()
        weight = torch.where(row == column, 0.5**0.5, 1.0).to(x.dtype)
        parts.append(x[..., row] * x[..., column] * weight)
    return torch.cat(parts, -1)


def size(channels: int, degree: int = 2) -> int:
    """Return the number of features of `taylor`. Raises InvalidInput for a degree that it does not have."""
    if degree not in (0, 1, 2):
        raise InvalidInput(f"degree is {degree}: give 0, 1 or 2.")
    return (1, 1 + channels, 1 + channels + channels * (channels + 1) // 2)[degree]
