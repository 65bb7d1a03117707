"""Fusion: one linear score from all signals, with weights fitted on development conversations.

The weights are in `weights.json`, written by `benchmarks/fit/recall.py` with the data they were fitted on. Each is a
pair (a, b): the signal counts a + b * brevity, where brevity is near 1 for short chat turns and near 0 for long
messages: the turns around a short one say more about it than those around a page. Those of the roles have b = -a: that
the long answers of an assistant mostly elaborate was seen with long messages only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.signals import Signals

Floats = NDArray[np.float32]
Weights = Mapping[str, tuple[float, float]]
HALF = 40.0  # terms of the median message at which brevity is one half


@cache
def weights(name: str) -> Weights:
    """Return fitted weights: "cubes" or "sessions", or "cubes_words" and "sessions_words" for use without vectors."""
    data = json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))
    return {signal: (float(a), float(b)) for signal, (a, b) in data["weights"][name].items()}


def brevity(corpus: Corpus) -> float:
    """Return the brevity of the messages of a space: 1 / (1 + median length in terms / 40)."""
    return 1 / (1 + corpus.layout().median_length / HALF)


def fuse(found: Signals, by: Weights, brief: float) -> Floats:
    """Return the weighted sum of signals, (N,). A signal without a weight counts nothing."""
    total = np.zeros_like(next(iter(found.values())))
    product = np.empty_like(total)
    for name, (a, b) in by.items():
        if name in found:
            total += np.multiply(found[name], np.float32(a + b * brief), out=product)
    return total


def explain(found: Signals, by: Weights, brief: float, positions: Sequence[int]) -> list[dict[str, float]]:
    """Return what each signal added to the score at each position, the largest first; zeros are left out."""
    parts = [(name, a + b * brief, found[name][positions].tolist()) for name, (a, b) in by.items() if name in found]
    reasons = []
    for i in range(len(positions)):
        added = [(name, weight * values[i]) for name, weight, values in parts if weight and values[i]]
        reasons.append(dict(sorted(added, key=lambda item: -abs(item[1]))))
    return reasons
