"""Matching after a delay: is the symbol at the end the one that was shown at the beginning, 150 tokens ago?

Between the two lies noise in all channels. Chance is 50 %; networks have at most 6,000 weights, and 200 steps of 32
sequences. `short` ELM neurons have time constants up to 10 tokens in the place
of 1,000.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Generator, Tensor

from mnemos.bench.neural.recurrence.plain import Plain, fit, hidden_for, squared, weights
from mnemos.neural.model import Layer
from mnemos.neural.training import Batch, Recipe

LENGTH, SYMBOLS, MOST = 150, 4, 6000
RATES = (1e-2,)
ROWS = ("elm-neuron", "elm-neuron, short", "lstm", "gru")


def matching(count: int, rng: Generator) -> Batch:
    """Return inputs (B, T, symbols + 1), the last channel telling when a symbol is shown, and 1 or -1 (B, 1)."""
    x = 0.2 * torch.randn(count, LENGTH, SYMBOLS + 1, generator=rng)
    x[..., -1] = 0
    same = torch.rand(count, generator=rng) < 0.5
    first = torch.randint(SYMBOLS, (count,), generator=rng)
    other = (first + torch.randint(1, SYMBOLS, (count,), generator=rng)) % SYMBOLS
    each = torch.arange(count)
    for place, symbol in ((2, first), (LENGTH - 2, torch.where(same, first, other))):
        x[each, place, symbol] += 1
        x[:, place, -1] = 1
    return Batch(x, 2.0 * same[:, None] - 1)


def layer(row: str, hidden: int) -> Layer:
    """Return the layer of a row with a number of units."""
    name, _, short = row.partition(", ")
    options = {"hidden": hidden} | ({"tau": (1.0, 10.0) if short else (1.0, 1000.0)} if name == "elm-neuron" else {})
    return name, options


def made(row: str, hidden: int) -> Plain:
    """Return the network of a row."""
    return Plain(SYMBOLS + 1, 1, 16, layer(row, hidden))


def one(row: str, seed: int) -> dict[str, float]:
    """Return the share of a network that is right."""
    hidden = hidden_for(MOST, partial(made, row))

    def score(outputs: Tensor, wanted: Tensor) -> float:
        return float(((outputs[:, -1] > 0) == (wanted > 0)).double().mean())

    found = []
    for rate in RATES:
        recipe = Recipe(steps=200, rate=rate, decay=0.0, goal=0.995, check=50)
        model, _, chosen_by = fit(
            partial(made, row, hidden), matching, recipe, seed, tests=300, loss=squared, score=score
        )
        x, wanted = matching(500, Generator().manual_seed(78))
        with torch.no_grad():
            found.append((chosen_by, score(model(x)[0], wanted), weights(model)))
        if chosen_by >= recipe.goal:
            break
    best = max(found)
    return {"right": best[1], "units": float(hidden), "weights": float(best[2])}
