"""Activations held as estimates: what is kept for the backward pass, and what training loses by it.

A decoder of letters (three layers of width 64, rows of 64 letters) is trained from scratch for 120 steps of AdamW. The rate of
each row was chosen on a seed that is not reported. Bytes are what autograd keeps of a step at most, and the optimiser's states;
losses are of text that was not trained on, in nats a letter.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch

from mnemos.bench.footprint.letters import Decoder, Letters, Shape, loss_of, loss_on_tests, train
from mnemos.bench.parts import Row, seeded
from mnemos.footprint import attached
from mnemos.footprint.activations.approximate import Approximate
from mnemos.footprint.activations.in_memory import InMemory
from mnemos.footprint.activations.projected import Projected
from mnemos.footprint.activations.quantised import Quantised
from mnemos.footprint.activations.sampled import Sampled
from mnemos.footprint.activations.shared_norm import SharedNorm
from mnemos.footprint.weights.sparse_low_rank import SparseLowRank

SHAPE, STEPS = Shape(width=64, layers=3, length=64), 120
RATES, CHOICE = (3e-3, 1e-2), 100  # rates to choose from, and the seed of the choice
KEPT = ("kept MB", "states kB", "trained k")
PLAIN = "plain"
Methods = tuple[Any, ...]


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each way to keep less, beside plain training."""
    letters = Letters(options.data)
    ways: dict[str, Methods] = {
        PLAIN: (),
        "8 bits a number": (Quantised(),),
        "4 bits a number": (Quantised(bits=4),),
        "derivatives of 4 bits": (Approximate(bits=4),),
        "derivatives of 2 bits, shared norms": (Approximate(), SharedNorm()),
        "30 % of rows, sure and drawn": (Sampled(),),
        "30 % of rows, alike": (Sampled(how="uniform"),),
    }
    return rows_of(letters, ways, options.seeds, chosen=False)


def weights(options: Any) -> dict[str, Row]:
    """Return rows of training in fewer dimensions: projections, low rank, and low rank with single numbers."""
    letters = Letters(options.data)
    ways: dict[str, Methods] = {
        PLAIN: (),
        "projected to a quarter": (Projected(rank=0.25),),
        "low rank 12": (SparseLowRank(rank=12, density=0, alpha=12),),
        "low rank 8, 5 % single numbers": (SparseLowRank(rank=8, density=0.05, alpha=8),),
        "the same, where plain weights are largest": (SparseLowRank(rank=8, density=0.05, alpha=8, support="largest"),),
    }
    return rows_of(letters, ways, options.seeds, chosen=True)


def rows_of(letters: Letters, ways: dict[str, Methods], seeds: int, chosen: bool) -> dict[str, Row]:
    """Return a row for each way, at the rate that is best for it, or for plain training."""
    found, rate = {}, RATES[0]
    for name, methods in ways.items():
        if name == PLAIN or chosen:
            losses = {rate: once(letters, methods, CHOICE, rate)["test loss"] for rate in RATES}
            rate = min(losses, key=lambda rate: losses[rate])
        found[name] = seeded(seeds, partial(once, letters, methods, rate=rate), KEPT) | {"rate": rate}
    return beside(found)


def once(letters: Letters, methods: Methods, seed: int, rate: float, steps: int = STEPS) -> dict[str, float]:
    """Return what one training keeps and reaches."""
    torch.manual_seed(seed)
    model = Decoder(letters.count, SHAPE)
    if any(isinstance(method, SparseLowRank) and method.support == "largest" for method in methods):
        train(model, torch.optim.AdamW(model.parameters(), rate), letters, steps, seed)
    with attached(model, *methods):
        trained = [p for p in model.parameters() if p.requires_grad and p.numel()]
        optimiser = torch.optim.AdamW(trained, rate, betas=(0.9, 0.98), weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
        began = time.process_time()
        train(model, optimiser, letters, steps, seed, after=lambda step: schedule.step())
        spent = time.process_time() - began
        states = sum(t.nbytes for s in optimiser.state.values() for t in s.values())
        loss = loss_on_tests(model, letters)
    again = [method for method in methods if not isinstance(method, InMemory)]
    savers = [] if any(isinstance(method, Quantised) for method in again) else [InMemory()]
    with attached(model, *again, *savers, least=0) as usage:
        loss_of(model, letters.batch(16, SHAPE.length, 0)).backward()
    count = sum(p.numel() for p in trained)
    return {"kept MB": usage.peak_kept / 1e6, "states kB": states / 1e3, "trained k": count / 1e3, "test loss": loss,
            "ms a step": 1e3 * spent / steps}  # fmt: skip


def beside(rows: dict[str, Row]) -> dict[str, Row]:
    """Return rows with what is kept, the time and the loss beside those of plain training."""
    plain = rows[PLAIN]
    quick = plain["ms a step"]
    for row in rows.values():
        row["kept, of plain %"] = row["kept MB"] / plain["kept MB"]
        row["kept and states, of plain %"] = (1e3 * row["kept MB"] + row["states kB"]) / (
            1e3 * plain["kept MB"] + plain["states kB"]
        )
        row["loss, of plain"] = round(row["test loss"] / plain["test loss"], 4)
        row["time, of plain"] = round(row["ms a step"] / quick, 3)
        del row["ms a step"]
        row.pop("ms a step_sd", None)
    return rows
