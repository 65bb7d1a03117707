"""Contrast: how far a cube stands out among all, by words, by meaning and by time.

A share of words and a cosine say how alike two texts are. These signals say how unusual that is in this space: a cosine
of 0.4 is much where the mean is 0.1 and little where it is 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.moments import Moments

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
BEST = 100  # cubes at the top of a ranking that have a rank
HALF_RANK = 10.0  # places behind the first at which the value of a rank is one half
RISES = np.float32(1.5)  # standard deviations from which a cosine stands out
SAME = 0.85  # share of the best BM25 from which a cube says as much as the best
COVERED = 0.98  # share of the best coverage from which a cube has as many of the words


@dataclass(frozen=True, slots=True)
class Standing:
    """The cosines of a question in units of their spread over the space, and the best cubes by them."""

    z: Floats  # (N,) standard deviations above the mean
    best: Ints  # positions of the best, the best first


def best_of(values: Floats, shown: NDArray[np.bool_], most: int = BEST) -> Ints:
    """Return the positions of the `most` largest positive values of shown cubes, the largest first, then the newest."""
    values = np.where(shown, values, np.float32(0))
    if len(values) > most:
        found = np.flatnonzero(values >= np.partition(values, len(values) - most)[len(values) - most])
    else:
        found = np.arange(len(values))
    found = found[values[found] > 0]
    return found[np.lexsort((-found, -values[found]))][:most]


def standing(cosine: Floats, shown: NDArray[np.bool_], of_all: tuple[float, float] | None = None) -> Standing:
    """Return how far each cosine stands above the mean of the shown cubes, or the mean and deviation `of_all`."""
    among = cosine[shown]
    mean, spread = (among.mean(), among.std()) if len(among) else (np.float32(0), np.float32(1))
    mean, spread = (mean, spread) if of_all is None else map(np.float32, of_all)
    z = ((cosine - mean) / (spread + np.float32(1e-6))).astype(np.float32)
    return Standing(z, best_of(cosine, shown))


def of_words(words: Floats, coverage: Floats, weight: float, best: Ints, moments: Moments) -> dict[str, Floats]:
    """Return the signals of words, each (N,).

    `words` is BM25 as a share, `weight` the whole weight of the question in words of the rarest kind, `best` the best by
    words. `later` and `latest` rise with time among cubes that have as much of the question as the best: of two
    statements in the same words the newer counts.
    """
    most = float(coverage[best].max()) if len(best) else 0.0
    later, latest = np.zeros_like(words), np.zeros_like(words)
    if len(best):
        same = best[words[best] >= SAME * words[best[0]]]
        order = np.argsort(moments.by_time(same), kind="stable")
        later[same] = (order + 1) / len(same) * most
        full = best[coverage[best] >= COVERED * most]
        latest[full[moments.by_time(full)[-1]]] = most
    return {
        "matches": words * np.float32(weight / 4),
        "coverage_squared": coverage * coverage,
        "words_rank": ranks(best, len(words)),
        "later": later,
        "latest": latest,
    }


def of_cosines(found: Standing, words: Floats) -> dict[str, Floats]:
    """Return the signals of cosines, each (N,): one that stands out, its rank, and both words and meaning."""
    rise = np.maximum(found.z - RISES, 0)
    return {
        "cosine_outlier": rise * rise / np.float32(16),
        "cosine_rank": ranks(found.best, len(found.z)),
        "words_and_cosine": np.clip(found.z / np.float32(4), 0, np.float32(1.5)) * words,
    }


def ranks(best: Ints, n: int) -> Floats:
    """Return 1 for the best position, 1/2 ten places behind it, and 0 for positions that are not among the best."""
    values = np.zeros(n, dtype=np.float32)
    values[best] = 1 / (1 + np.arange(len(best)) / HALF_RANK)
    return values
