"""Layers that are trained for a small task, once, and kept beside the small models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.kv import checkpoints
from mnemos.bench.kv.threads import one_thread

REVISION = 1  # of the tasks and the training: raise it when a change makes other weights


def train_layer(
    name: str, build: Callable[[], Any], loss: Callable[[Any], Tensor], steps: int, rate: float, seed: int = 0,
    cache: Path | None = None,
) -> Any:  # fmt: skip
    """Return the module that `build` makes, trained with AdamW for `steps`: read from the cache, else trained and kept.

    `loss` draws the data of a step itself. `name` and the other arguments are the key: another task needs another name.
    """
    path = checkpoints.folder(f"{name}-{seed}", [REVISION, name, steps, rate, seed], cache)
    if (found := checkpoints.find(path, lambda _: build())) is not None:
        return found.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = build()
    optimiser = torch.optim.AdamW(model.parameters(), rate)
    last = 0.0
    with one_thread(), torch.enable_grad():
        for _ in range(steps):
            value = loss(model)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            last = value.item()
    record = {"name": name, "seed": seed, "steps": steps, "rate": rate, "loss": round(last, 5)}
    checkpoints.save(model, record, path)
    return checkpoints.load(path, lambda _: build()).model
