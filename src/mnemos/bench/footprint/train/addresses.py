"""Addresses of what a training step makes: the block that holds it all, beside first fit and the lower bound.

The decoder of the part `disk` makes one step; what operations use inside of themselves is not seen. The bound is the most bytes
that are held at once.
"""

from __future__ import annotations

from typing import Any

import torch

from mnemos.bench.footprint.letters import Decoder, Letters, loss_of
from mnemos.bench.footprint.train.disk import PLAIN, ROWS, SHAPE
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.activations.quantised import Quantised
from mnemos.footprint.activations.recomputed import Recomputed
from mnemos.footprint.plan.addresses import Addresses, first_fit, least, lifetimes


def measure(options: Any) -> dict[str, Row]:
    """Return the row of a plain step, of one whose layers are computed again, and of one that keeps 8 bits a number."""
    letters = Letters(options.data)
    ways: dict[str, tuple[Any, ...]] = {PLAIN: (), "computed again": (Recomputed(),), "8 bits a number": (Quantised(),)}
    rows = {}
    for name, methods in ways.items():
        torch.manual_seed(0)
        model = Decoder(letters.count, SHAPE)
        batch = letters.batch(ROWS, SHAPE.length, 0)

        def step(model: Decoder = model, batch: torch.Tensor = batch) -> None:
            loss_of(model, batch).backward()

        with attached(model, *methods):
            held = lifetimes(step)
        bound = least(held)
        rows[name] = {
            "tensors": len(held),
            "held at once MB": round(bound / 1e6, 1),
            "first fit, above it %": first_fit(held).nbytes / bound - 1,
            "planned, above it %": Addresses(held).place().nbytes / bound - 1,
        }
    return rows
