"""An adapter beside SmolLM2 (135 million weights) learns plays: what a step takes with everything in memory, and with less.

LoRA (rank 4, on the feed-forward layers) in float32; two steps on 8 rows of 512 tokens, on one thread, each row in a process of
its own. Memory is that of the whole process at its peak, weights and libraries included, and what the steps take beyond.
Seconds are the processor's, as other work shares the machine. Losses are those of both steps, before each update.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.activation.pretrained import load_decoder, load_tokenizer
from mnemos.bench.footprint.fresh import fresh
from mnemos.bench.parametric.spread import kept
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.activations.chunked_loss import chunked_cross_entropy
from mnemos.footprint.activations.disk import Disk
from mnemos.footprint.activations.recomputed import Recomputed
from mnemos.footprint.measure import resident, taken
from mnemos.parametric.encode.adapter import Adapter

ROWS, LENGTH, STEPS, RATE = 8, 512, 2, 5e-4
LAYERS = r"model\.layers\.\d+"
PLAIN = "in memory"


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each way to hold less."""
    ways: dict[str, tuple[bool, tuple[Any, ...]]] = {
        PLAIN: (False, ()),
        "loss in chunks": (True, ()),
        "loss in chunks, layers computed again": (True, (Recomputed(LAYERS),)),
        "the same, what goes into layers on disk": (True, (Recomputed(LAYERS), Disk())),
        "loss in chunks, activations on disk": (True, (Disk(),)),
    }
    rows = {
        name: kept(options.cache, f"smollm2 {name}", partial(fresh, steps, options.data, *way))
        for name, way in ways.items()
    }
    plain = rows[PLAIN]
    for row in rows.values():
        row["peak, of plain %"] = row["peak MB"] / plain["peak MB"]
        row["beyond the weights, of plain %"] = row["beyond the weights MB"] / plain["beyond the weights MB"]
        row["time, of plain"] = row["processor s a step"] / plain["processor s a step"]
    return rows


def steps(data: Path, in_chunks: bool, methods: tuple[Any, ...]) -> Row:
    """Return what the steps of an adapter take."""
    model, tokenizer = load_decoder("smollm2"), load_tokenizer("smollm2")
    text = (data / "shakespeare" / "input.txt").read_text(encoding="utf-8")[: 8 * STEPS * ROWS * LENGTH]
    ids = torch.tensor(tokenizer(text).input_ids[: STEPS * ROWS * LENGTH]).view(STEPS, ROWS, LENGTH)
    adapter = Adapter().create(model, (), tokenizer)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    weights = [weight.requires_grad_() for weight in adapter.parameters()]
    optimiser = torch.optim.Adam(weights, lr=RATE, betas=(0.9, 0.98))
    loss_of: Callable[[Any, Tensor], Tensor] = chunked if in_chunks else plain
    losses: list[float] = []

    def step(rows: Tensor) -> None:
        loss = loss_of(model, rows)
        losses.append(float(loss.detach()))
        loss.backward()

    def work() -> None:
        for rows in ids:
            step(rows)
            optimiser.step()
            optimiser.zero_grad()

    with adapter.attach(model), attached(model, *methods):
        step(ids[0, :1, :16])  # what is loaded at the first use is no part of the peak
        optimiser.zero_grad()
        took = taken(work)
        top = resident(peak=True)
    return {
        "peak MB": round(top / 1e6),
        "beyond the weights MB": round(took.peak / 1e6),
        "processor s a step": round(took.cpu / STEPS, 2),
        "loss of step 1": round(losses[1], 5),
        "loss of step 2": round(losses[2], 5),
    }


def plain(model: Any, rows: Tensor) -> Tensor:
    """Return the loss of the next token by all logits."""
    logits = model(rows, use_cache=False).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def chunked(model: Any, rows: Tensor) -> Tensor:
    """Return the same loss by chunks of logits."""
    hidden = model.model(rows, use_cache=False).last_hidden_state
    return chunked_cross_entropy(hidden[:, :-1], model.lm_head.weight, rows[:, 1:])
