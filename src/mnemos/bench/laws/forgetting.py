"""Forgetting when an adapter is trained (arXiv 2401.05605): a line in the loss, a power law in weights and steps.

A model that has read prose learns the facts of a small world by adapters of several ranks. Around some numbers of steps its
loss on the facts is measured, and the forgetting meter on prose that it has not read: a cell is the mean of five readings
within a tenth of its steps, since the rate does not fall and a single reading wavers by a fifth. The power law is to predict
each of six inner cells from all others, to 15 % in the mean. What few weights or few steps forget is asked for a nat that they
learned. These bars were written before seeds 6, 7 and 8, which are stored: those of former runs had been put right after a look.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import prose, rows, take
from mnemos.bench.laws.trainer import Attached, Trainer, reader
from mnemos.bench.parametric.facts import Fact, make_tokenizer, make_world
from mnemos.bench.parametric.small_models import loss_of
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.forgetting import ForgettingMeter, line, power_law

PAPERS = ("2401.05605",)
MEANS = (
    "each nat that an adapter gains is paid for elsewhere, along a line that `parametric.forgetting.ForgettingMeter` "
    "measures and `line` prices."
)

RANKS = (1, 2, 4, 8, 16)
STEPS = (50, 100, 200, 400)
AROUND = (0.9, 0.95, 1.0, 1.05, 1.1)  # of them, where a cell is read
HELD_OUT = tuple((rank, steps) for rank in (2, 4, 8) for steps in (100, 200))  # cells that the power law is to predict
PEOPLE, TOLD = 16, 128  # of the world, and texts about it in the manner of those that were read
WIDTH, BATCH, READ, HELD = 48, 32, 600, 96  # of the model; texts of a step; steps of reading before; texts of the meter


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    model = reader(WIDTH, seed, READ).model
    model.requires_grad_(False)
    meter = ForgettingMeter(model, make_tokenizer(), take(prose(f"held {seed}"), HELD))
    world = make_world(PEOPLE, values=16, seed=seed)
    told = rows([about(world.facts, seed, i) for i in range(TOLD)])
    found: dict[str, Any] = {"at first": meter.forgotten(model).value, "loss before": _loss(model, told), "cells": {}}
    places = {round(step * of) for step in STEPS for of in AROUND}
    for rank in RANKS:
        learned = Adapter(rank=rank, alpha=2 * rank, targets=("all",)).create(model, (), None, seed)
        trainer = Trainer(Attached(model, learned), rate=2e-3)
        rng = random.Random(f"forgetting {seed}")
        numbers = sum(p.numel() for p in learned.parameters())
        with learned.attach(model):
            read: dict[int, tuple[float, float]] = {}
            for step in range(1, round(STEPS[-1] * AROUND[-1]) + 1):
                trainer.step(told[rng.sample(range(len(told)), BATCH)])
                if step in places:
                    read[step] = _loss(model, told), meter.forgotten(model).value
        for step in STEPS:
            loss, forgotten = (fmean(of) for of in zip(*(read[round(step * of)] for of in AROUND), strict=True))
            found["cells"][f"{rank} {step}"] = {"loss": loss, "forgotten": forgotten, "numbers": numbers}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    cells = {tuple(map(int, key.split())): row for key, row in figures["cells"].items()}
    seeds = range(len(figures["at first"]))
    fits = [
        line([row["loss"][i] for row in cells.values()], [row["forgotten"][i] for row in cells.values()]) for i in seeds
    ]
    each = [
        fmean(
            line(*([cells[rank, step][of][i] for step in STEPS] for of in ("loss", "forgotten"))).r2 for rank in RANKS
        )
        for i in seeds
    ]
    errors = {cell: [_error(cells, cell, i) for i in seeds] for cell in HELD_OUT}
    missed = [fmean(of[i] for of in errors.values()) for i in seeds]
    price = {
        f"rank {rank}, {steps} steps": [
            cells[rank, steps]["forgotten"][i] / max(figures["loss before"][i] - cells[rank, steps]["loss"][i], 1e-3)
            for i in seeds
        ]
        for rank, steps in ((RANKS[0], STEPS[-1]), (RANKS[-1], STEPS[0]))
    }
    r2, slope = [fit.r2 for fit in fits], [fit.slope for fit in fits]
    claims = [
        Claim(
            "forgetting is a falling line in the loss of fine-tuning (R² above .9)",
            verdict(min(r2) > 0.9 and max(slope) < 0, mean(each) > 0.9 and max(slope) < 0),
            f"R² {said(r2)} over all cells, {said(each)} within a rank; slope {said(slope)}",
        ),
        Claim(
            "a shifted power law in trained weights and steps predicts cells that it was not fitted on within 15 %",
            verdict(max(missed) < 0.15, mean(missed) < 0.15),
            f"off by {', '.join(f'{e:.0%}' for e in missed)}, by seed, in the mean over {len(errors)} cells; by cell: "
            + ", ".join(f"rank {rank}, {steps} steps: {mean(of):.0%}" for (rank, steps), of in errors.items()),
        ),
        Claim(
            "neither fewer weights nor fewer steps avoid it: no less is forgotten for each nat that is learned",
            verdict(
                min(map(mean, price.values())) > 0.5 * -mean(slope), min(map(mean, price.values())) > 0.1 * -mean(slope)
            ),
            f"forgotten for a nat learned: {listed(price)}; by the line over all cells {-mean(slope):.2f}; nothing trained: "
            f"{said(figures['at first'], 4)}",
        ),
    ]
    lines = {
        f"rank {rank}": {mean(cells[rank, step]["loss"]): cells[rank, step]["forgotten"] for step in STEPS}
        for rank in RANKS
    }
    grown = {f"rank {rank}": {step: cells[rank, step]["forgotten"] for step in STEPS} for rank in RANKS}
    y = "forgotten, nats a token"
    panels = [Panel("by loss", "loss of the facts", y, lines), Panel("by steps", "steps", y, grown, True)]
    steepest = fit("line", lines[f"rank {RANKS[2]}"], "by loss", f"rank {RANKS[2]}")
    return reported(claims, panels, [steepest], MEANS)


def about(facts: Sequence[Fact], seed: int, number: int) -> str:
    """Return a text that states two facts of a person."""
    rng = random.Random(f"told {seed} {number}")
    who = rng.choice(facts).subject
    return " ".join(f.statement(rng.randrange(3)) for f in rng.sample([f for f in facts if f.subject == who], 2))


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _loss(model: Any, ids: Any) -> float:
    return float(loss_of(model, ids))


def _error(cells: Mapping[Any, Any], held_out: tuple[int, int], seed: int) -> float:
    """Return the relative error of a power law in a cell that it was not fitted on."""
    others = [row for key, row in cells.items() if key != held_out]
    steps = [key[1] for key in cells if key != held_out]
    law = power_law([row["numbers"][seed] for row in others], steps, [row["forgotten"][seed] for row in others])
    cell = cells[held_out]
    return float(abs(law(cell["numbers"][seed], held_out[1]) / cell["forgotten"][seed] - 1))
