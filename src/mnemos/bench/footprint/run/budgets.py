"""A step of training within a budget of bytes: what `Fit` chooses, what it predicts, and the peak that is measured.

The model is `shakespeare.LARGE`, with Adam, over 16 passages of 256 letters. Measured is the peak of resident memory of a first
step, beyond what is there before, and the weights, in a process of its own. Budgets are shares of what training is predicted to
take with nothing attached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mnemos.bench.footprint import shakespeare
from mnemos.bench.footprint.fresh import fresh
from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.parts import Row
from mnemos.footprint import Fit, offload
from mnemos.footprint.measure import taken

ROWS, LENGTH = 16, 256
SHARES = {"100 %": 1.0, "50 %": 0.5, "42 %": 0.42}


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    rows = {name: fresh(_step, options.data, share) for name, share in SHARES.items()}
    plain = rows["100 %"]["seconds"]
    return {name: row | {"time, of plain": row["seconds"] / plain} for name, row in rows.items()}


def _step(data: Path, share: float) -> Row:
    text = Letters(data)
    model = shakespeare.untrained(shakespeare.LARGE, text.count, 0)
    ids = text.batch(ROWS, LENGTH, 0)
    adam = torch.optim.Adam(model.parameters(), foreach=False)
    knobs: dict[str, Any] = {"batch": ROWS, "length": LENGTH + 1, "run": shakespeare.loss_of}
    budget = share * Fit(model, "1TB", **knobs).predict().nbytes
    shakespeare.loss_of(model, ids[:1, :9]).backward()  # what is loaded with a first pass
    model.zero_grad()

    def step() -> None:
        shakespeare.loss_of(model, ids).backward()
        adam.step()

    with offload(model, budget, **knobs) as chosen:
        found = taken(step)
    weights = sum(p.nbytes for p in model.parameters())
    return {
        "attached": ", ".join(type(method).__name__ for method in chosen.methods) or "nothing",
        "budget MB": budget / 1e6,
        "predicted MB": chosen.prediction.nbytes / 1e6,
        "measured MB": (weights + found.peak) / 1e6,
        "seconds": found.cpu,
    }
