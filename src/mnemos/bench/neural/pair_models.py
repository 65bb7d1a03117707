"""One small network trained to recall pairs, and how right it is: the cells of `linear-layers` and `testtime`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mnemos.bench.neural.learning import TESTED
from mnemos.bench.neural.pairs import Pairs
from mnemos.bench.neural.sequences import seeded
from mnemos.bench.parametric.spread import CHOSEN_ON, kept, over_seeds
from mnemos.bench.progress import Progress
from mnemos.neural.model import Layer, Network
from mnemos.neural.training import Recipe, accuracy, train

BATCH, WIDTH = 32, 32


def cell(layers: Sequence[Layer], task: Pairs, steps: int, rate: float, seed: int) -> dict[str, Any]:
    """Train one network without convolutions or feed-forward layers, and return its accuracy on unseen keys."""
    torch.manual_seed(seed)
    network = Network(task.inputs, task.classes, WIDTH, layers, 0, 0)
    test = task(256, torch.Generator().manual_seed(TESTED))
    started = time.process_time()
    train(network, seeded(task, BATCH, seed), Recipe(steps, rate, warm_up=20))
    return {
        "right": accuracy(network, test),
        "state": network.stack.state_size(test.inputs.shape[1]),
        "weights": sum(p.numel() for p in network.parameters()),
        "seconds": round(time.process_time() - started, 2),
    }


def rows(
    members: Mapping[str, Sequence[Layer]], task: Pairs, steps: int, rates: Sequence[float], seeds: int,
    cache: Path | None, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Return a row for each member: means over seeds and their spread; of several rates the best on a seed apart."""

    def at(name: str, rate: float, seed: int) -> dict[str, Any]:
        key = f"{name} {members[name]} {task} {steps} {rate} {seed}"
        found = kept(cache, key, partial(cell, members[name], task, steps, rate, seed))
        progress(1)
        return found

    found = {}
    for name in members:
        best = rates[0] if len(rates) == 1 else max(rates, key=lambda r: at(name, r, CHOSEN_ON)["right"])
        cells = [at(name, best, seed) for seed in range(seeds)]
        found[name] = over_seeds(cells, ("state", "weights", "seconds"))
        if len(rates) > 1:
            found[name]["rate"] = best
    return found
