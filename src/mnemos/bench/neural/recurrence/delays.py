"""Adding after a delay: the sum of two symbols, shown for ten tokens each, one at the beginning and one at the end of 150 tokens.

Between the two lies noise in all channels. The likeliest sum of two numbers from 0 to 3 is right for 25 %; networks have at
most 6,000 weights, and 200 steps of 32 sequences at the better of two rates. `short` ELM neurons have time constants up to
10 tokens in the place of 1,000.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Generator, Tensor

from mnemos.bench.neural.recurrence.plain import Plain, fit, hidden_for, weights
from mnemos.neural.model import Layer
from mnemos.neural.training import UNASKED, Batch, Recipe

LENGTH, SHOWN, SYMBOLS, MOST = 150, 10, 4, 6000
RATES = (1e-2, 3e-3)
ROWS = ("elm-neuron", "elm-neuron, short", "lstm", "gru")


def sums(count: int, rng: Generator) -> Batch:
    """Return inputs (B, T, symbols + 1), the last channel telling when a symbol is shown, and sums at the last token (B, T)."""
    x = 0.2 * torch.randn(count, LENGTH, SYMBOLS + 1, generator=rng)
    x[..., -1] = 0
    shown = torch.randint(SYMBOLS, (count, 2), generator=rng)
    targets = torch.full((count, LENGTH), UNASKED)
    targets[:, -1] = shown.sum(1)
    for symbol, places in zip(shown.unbind(1), (slice(SHOWN), slice(LENGTH - SHOWN, None)), strict=True):
        x[:, places, :SYMBOLS] += torch.nn.functional.one_hot(symbol, SYMBOLS)[:, None]
        x[:, places, -1] = 1
    return Batch(x, targets)


def layer(row: str, hidden: int) -> Layer:
    """Return the layer of a row with a number of units."""
    name, _, short = row.partition(", ")
    options = {"hidden": hidden} | ({"tau": (1.0, 10.0) if short else (1.0, 1000.0)} if name == "elm-neuron" else {})
    return name, options


def made(row: str, hidden: int) -> Plain:
    """Return the network of a row."""
    return Plain(SYMBOLS + 1, 2 * SYMBOLS - 1, 16, layer(row, hidden))


def one(row: str, seed: int) -> dict[str, float]:
    """Return the share of a network that is right."""
    hidden = hidden_for(MOST, partial(made, row))

    def score(outputs: Tensor, wanted: Tensor) -> float:
        return float((outputs[:, -1].argmax(-1) == wanted[:, -1]).double().mean())

    found = []
    for rate in RATES:
        recipe = Recipe(steps=200, rate=rate, decay=0.0, goal=0.995, check=50)
        model, _, chosen_by = fit(partial(made, row, hidden), sums, recipe, seed, tests=300, score=score)
        x, wanted = sums(500, Generator().manual_seed(78))
        with torch.no_grad():
            found.append((chosen_by, score(model(x)[0], wanted), weights(model)))
        if chosen_by >= recipe.goal:
            break
    best = max(found)
    return {"right": best[1], "units": float(hidden), "weights": float(best[2])}
