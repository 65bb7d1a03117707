"""The adding problem, and how far gradients reach: two of many numbers are marked, their sum is asked at the end.

MSE is that of 500 new sequences; always saying 1 has 0.167. The gradient is that of the last output with respect to the
first of 100 tokens, relative to the last one, before training. At most 600 steps of 32 sequences, 32 units.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from mnemos.bench.neural.recurrence.plain import Plain, fit, squared, weights
from mnemos.neural.model import Layer, mixer
from mnemos.neural.recurrent.probes import gradients_by_lag
from mnemos.neural.training import Batch, Recipe

LAYERS: dict[str, tuple[Layer, float]] = {  # row -> layer and rate
    "tanh-rnn": ("tanh-rnn", 1e-3),
    "lstm": ("lstm", 1e-2),
    "lem": ("lem", 1e-2),
}
ROWS = tuple(LAYERS)
WIDTH, LENGTH = 32, 100


def adding(length: int, count: int, rng: Generator) -> Batch:
    """Return numbers in [0, 1] and marks (B, T, 2), one mark in each half, and sums (B, 1)."""
    numbers = torch.rand(count, length, generator=rng)
    half = length // 2
    places = torch.randint(half, (count, 2), generator=rng) + torch.tensor([0, half])
    marks = torch.zeros(count, length).scatter_(1, places, 1.0)
    return Batch(torch.stack([numbers, marks], 2), numbers.gather(1, places).sum(1, keepdim=True))


def one(row: str, seed: int) -> dict[str, float]:
    """Return the figures of a layer."""
    layer, rate = LAYERS[row]
    torch.manual_seed(seed)
    reached = gradients_by_lag(mixer(layer, WIDTH), torch.randn(8, 101, WIDTH))

    def score(outputs: Tensor, wanted: Tensor) -> float:
        return -float(squared(outputs, wanted))

    model, report, reached_score = fit(
        lambda: Plain(2, 1, WIDTH, layer), lambda count, rng: adding(LENGTH, count, rng),
        Recipe(steps=600, rate=rate, decay=0.0, goal=-0.002, check=100), seed, loss=squared, score=score,
    )  # fmt: skip
    return {
        "MSE": -reached_score, "steps": float(report.steps), "gradient at 100": float(reached[100] / reached[1]),
        "weights": float(weights(model)),
    }  # fmt: skip
