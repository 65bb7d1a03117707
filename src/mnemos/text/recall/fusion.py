"""Fusion: one score from all signals, by a few linear experts whose shares depend on the question and the space.

Each expert weighs the signals. How much it counts here is decided by a gate, the softmax of linear functions of the cues:
words count for more where the embedder does not know the language, meaning for more where no word of the question occurs.
So for one question the score is a weighted sum of signals, which `why` shows, and what speaks for a cube never counts
against it. Where the gate trusts an expert of plain words alone, the ranking is that of BM25.

The weights are in `weights.json`, written by `benchmarks/fit/recall.py` with the data they were fitted on.
Jacobs et al., Adaptive Mixtures of Local Experts (1991).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.signals import Signals

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Weights = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """A mixture of K linear experts over S signals, gated by C cues."""

    signals: tuple[str, ...]
    cues: tuple[str, ...]
    experts: Doubles  # (K, S)
    gate: Doubles  # (K, 1 + C), the constant first

    def shares(self, cues: Mapping[str, float]) -> Doubles:
        """Return how much each expert counts, (K,), summing to 1. A cue enters the gate as 2 c - 1."""
        c = np.array([1.0, *(2 * cues[name] - 1 for name in self.cues)])
        logits = self.gate @ c
        shares: Doubles = np.exp(logits - logits.max())
        return np.asarray(shares / shares.sum())

    def weights(self, cues: Mapping[str, float]) -> dict[str, float]:
        """Return the weight of each signal for a question with these cues."""
        return dict(zip(self.signals, (self.shares(cues) @ self.experts).tolist(), strict=True))


def to_model(data: Mapping[str, Any]) -> Model:
    """Return a model from the JSON that the fit writes: `experts` and `gate` by name."""
    signals, cues = tuple(data["experts"][0]), tuple(data["gate"][0])[1:]
    experts = np.array([[expert[name] for name in signals] for expert in data["experts"]], dtype=np.float64)
    gate = np.array([[one[name] for name in ("1", *cues)] for one in data["gate"]], dtype=np.float64)
    return Model(signals, cues, experts, gate)


@cache
def model(name: str) -> Model:
    """Return a fitted model: "cubes" or "sessions", or "cubes_words" and "sessions_words" for use without vectors."""
    data = json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))
    return to_model(data["models"][name])


def fuse(found: Signals, by: Weights) -> Floats:
    """Return the weighted sum of signals, (N,). A signal without a weight counts nothing."""
    total = np.zeros_like(next(iter(found.values())))
    product = np.empty_like(total)
    for name, weight in by.items():
        if weight and name in found:
            total += np.multiply(found[name], np.float32(weight), out=product)
    return total


def explain(found: Signals, by: Weights, positions: Sequence[int]) -> list[dict[str, float]]:
    """Return what each signal added to the score at each position, the largest first; zeros are left out."""
    parts = [(name, weight, found[name][positions].tolist()) for name, weight in by.items() if name in found]
    reasons = []
    for i in range(len(positions)):
        added = [(name, weight * values[i]) for name, weight, values in parts if weight and values[i]]
        reasons.append(dict(sorted(added, key=lambda item: -abs(item[1]))))
    return reasons
