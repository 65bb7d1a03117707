"""What a memory's coming use is, from how often memories were used: where the tail is long, what was used once is worth keeping.

Feldman ("Does Learning Require Memorization?", arXiv 1906.05271): whoever drops what was seen once errs by tau_1 more for each,
by the expected frequency of what was seen once. Good and Turing's estimate of it needs nothing but the counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mnemos.text.base import Floats


def chances(counts: Any) -> Floats:
    """Return the probability that the next use is of each memory, for the uses of each so far (N,). O(N).

    What was used r times is expected to hold (r + 1) n_{r+1} / (n_r n) of n uses, where n_r memories were used r times; where
    none was used r + 1 times, r / n. The estimates are scaled to a sum of 1, and all are 0 where nothing was used.
    """
    met = np.asarray(counts, dtype=np.int64)
    uses = int(met.sum())
    if uses <= 0:
        return np.zeros(len(met))
    by_times = np.bincount(met, minlength=int(met.max()) + 2).astype(float)
    times = np.arange(len(by_times) - 1)
    later = (times + 1) * by_times[1:] / np.maximum(by_times[:-1], 1)
    expected = np.where(by_times[1:] > 0, later, times)
    found: Floats = expected[met]
    found /= found.sum()
    return found
