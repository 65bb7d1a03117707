"""Hierarchical balanced k-means: many clusters of like size, in O(N log C) comparisons.

`N` rows, `C` clusters, `D` numbers a row. SPANN (arXiv 2111.08566, section 3.1) after Liu et al., balanced clustering with
a penalty on sizes: a price on each cluster rises while it has more than its share of the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnemos.index.base import Floats, unit

FAN = 16  # parts that a set of rows is split into at a time
ROUNDS = 10  # of k-means
SAMPLE = 200  # rows a part that k-means looks at
RATE = 0.3  # how fast prices move, of the spread of distances
STEPS = 15  # price steps over all rows, once the centres stand

Labels = NDArray[np.int64]


def cluster(rows: Floats, parts: int, rng: np.random.Generator, *, balance: bool = True) -> Floats:
    """Return about `parts` centroids (C, D) of unit rows (N, D), neighbours near one another in the order.

    Without `balance` clusters are as large as they happen to be: each part of a split is split as often as the others.
    """
    centroids: list[Floats] = []
    stack = [(np.arange(len(rows)), min(parts, len(rows)))]
    while stack:
        where, wanted = stack.pop()
        if wanted <= 1:
            centroids.append(unit(rows[where].mean(axis=0)))
            continue
        fan = min(FAN, wanted)
        labels = split(rows[where], fan, rng, balance=balance)
        order = np.argsort(labels, kind="stable")
        groups = np.split(where[order], np.searchsorted(labels[order], np.arange(1, fan)))
        for group in reversed([g for g in groups if len(g)]):
            share = wanted * len(group) / len(where) if balance else wanted / fan
            stack.append((group, min(max(round(share), 1), len(group))))
    return np.array(centroids, dtype=np.float32)


def split(rows: Floats, parts: int, rng: np.random.Generator, *, balance: bool = True) -> Labels:
    """Return which of `parts` clusters each row is in, (N,)."""
    sample = rows if len(rows) <= SAMPLE * parts else rows[rng.choice(len(rows), SAMPLE * parts, replace=False)]
    centres = sample[rng.choice(len(sample), parts, replace=False)]
    price = np.zeros(parts, dtype=np.float32)
    for _ in range(ROUNDS):
        labels, price = _assign(sample, centres, price, 1 if balance else 0)
        sums = (labels == np.arange(parts)[:, None]).astype(np.float32) @ sample
        empty = ~sums.any(axis=1)
        sums[empty] = sample[rng.choice(len(sample), int(empty.sum()))]
        centres = unit(sums)
    return _assign(rows, centres, price, STEPS if balance else 0)[0]


def _assign(rows: Floats, centres: Floats, price: Floats, steps: int) -> tuple[Labels, Floats]:
    """Return the cluster of each row at these prices, and the prices after some steps; without steps there are none."""
    distances = 2 - 2 * (rows @ centres.T)
    if not steps:
        return distances.argmin(axis=1), price
    spread = float(distances.std()) + 1e-6
    share = len(rows) / len(centres)
    for step in range(steps):
        counts = np.bincount((distances + price).argmin(axis=1), minlength=len(centres))
        price = price + np.float32(RATE * spread / (1 + step / 4)) * (counts / share - 1).clip(-1, 1).astype(np.float32)
    return (distances + price).argmin(axis=1), price
