"""Cutting a text into pieces: at surprising tokens, and where the similarity of the keys parts best."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

Metric = Literal["modularity", "conductance", "none"]


def lengths(ends: list[int], most: int) -> list[int]:
    """Return the lengths between boundaries, those above `most` split."""
    found = []
    for begin, end in pairwise(ends):
        size = end - begin
        found += [most] * (size // most) + ([size % most] if size % most else [])
    return found


def ended(ids: Tensor, ends: tuple[int, ...], size: int) -> list[list[int]]:
    """Return for each row of ids (B, n) the lengths of the chunks that are complete, with one sum for all rows."""
    over = torch.isin(ids, torch.tensor(ends, device=ids.device))
    rows = [[0, *(int(t) + 1 for t in row.nonzero()[:, 0])] for row in over]
    last = min(row[-1] for row in rows)
    last = last or ids.shape[1] // size * size
    return [lengths([b for b in row if b < last] + [last], size) if last else [] for row in rows]


def surprising(surprise: Tensor, gamma: float, past: int) -> Tensor:
    """Return where surprise (B, T) is above mean + gamma · deviation of the up to `past` tokens before.

    NaN never is.
    """
    known = ~surprise.isnan()
    value = surprise.nan_to_num(0.0).double()
    sums = [torch.nn.functional.pad(x.cumsum(1), (1, 0)) for x in (known.double(), value, value**2)]
    end = torch.arange(surprise.shape[1], device=surprise.device)
    count, total, square = (s[:, end] - s[:, (end - past).clamp(min=0)] for s in sums)
    mean = total / count.clamp(min=1)
    deviation = (square / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
    return known & (count > 1) & (value > mean + gamma * deviation)


def similarity(keys: Tensor) -> Tensor:
    """Return the graph of keys (H, T, D): the cosine of each two, at least 0, averaged over heads, (T, T)."""
    units = normalize(keys.float(), dim=-1)
    return (units @ units.transpose(1, 2)).mean(0).clamp(min=0)


def refined(graph: Tensor, begins: list[int], metric: Metric) -> list[int]:
    """Return the boundaries (0, …, T) with each inner one moved back to where it parts its two events best.

    EM-LLM's algorithm 1: boundary β after α becomes the best β' in (α, β], in the graph of the tokens from α to the
    boundary after β.
    """
    new = list(begins)
    for i in range(1, len(begins) - 1):
        alpha, beta, end = new[i - 1], begins[i], begins[i + 1]
        part = graph[alpha:end, alpha:end]
        sums = torch.nn.functional.pad(part.cumsum(0).cumsum(1), (1, 0, 1, 0))
        at = torch.arange(1, beta - alpha + 1)
        inside, all_of = sums[at, at], sums[-1, -1]
        across = sums[at, -1] - inside
        outside = all_of - inside - 2 * across
        left, right = inside + across, outside + across
        if metric == "modularity":  # (1/2m) Σ (A_ij - k_i k_j / 2m) over pairs in one event, 2m the sum of A
            worth = (inside + outside) / all_of - (left**2 + right**2) / all_of**2
        else:  # conductance: the weight of the cut by the smaller volume, the less the better
            worth = -across / torch.minimum(left, right).clamp(min=1e-9)
        new[i] = alpha + 1 + int(worth.argmax())
    return new
