"""States of Adam on disk: bytes in memory, seconds a step, and whether the weights are those of plain training.

A decoder of eight layers of width 192 reads four rows of 64 letters a step. Disks are throttled, so that what overlaps shows on
any machine; seconds are the median of eight steps. Memory is the peak of what the steps take beyond the weights, in a process
of its own.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from mnemos.bench.footprint.fresh import fresh
from mnemos.bench.footprint.letters import Decoder, Letters, Shape, loss_of
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.activations.disk import Disk
from mnemos.footprint.measure import taken
from mnemos.footprint.states.on_disk import StatesOnDisk

MIB = 1 << 20
SHAPE, ROWS, STEPS = Shape(width=192, layers=8, length=64), 4, 8
PLAIN = "in memory"
SLOW = 120e6  # bytes a second of a throttled disk
WORDS = 8_000  # a row of an embedding each


def measure(options: Any) -> dict[str, Row]:
    """Return rows of states in memory and on disk, updated beside the backward pass or within it, in slots of some sizes."""
    ways: dict[str, tuple[Any, ...]] = {
        PLAIN: (),
        "on disk": (StatesOnDisk(),),
        "on disk of 120 MB/s, updates beside the backward pass": (StatesOnDisk(throttle=SLOW),),
        "the same, updates within it": (StatesOnDisk(throttle=SLOW, overlap=False),),
        "the same, spread over two files": (StatesOnDisk(throttle=SLOW, overlap=False, stripes=2),),
        "six read ahead: slots of each size, one file": (StatesOnDisk(ahead=6),),
        "six read ahead: slots of the largest size, a file each": (
            StatesOnDisk(ahead=6, pooled=False, one_file=False),
        ),
    }
    rows = {name: fresh(steps, options.data, methods) for name, methods in ways.items()}
    plain = rows[PLAIN].pop("sum")
    for row in rows.values():
        row["weights equal"] = str(row.pop("sum", plain) == plain).lower()
    return rows


def tiers(options: Any) -> dict[str, Row]:
    """Return the seconds of a step by what is in memory and what on a slow disk: states, or activations."""
    states, kept = StatesOnDisk(throttle=SLOW, overlap=False), Disk(throttle=SLOW, on_the_way=64 * MIB, strict=True)
    ways: dict[str, tuple[Any, ...]] = {
        "all in memory": (),
        "activations slow, states in memory (the rule)": (kept,),
        "states slow, activations in memory": (states,),
        "both slow": (states, kept),
    }
    found = {name: fresh(steps, options.data, methods) for name, methods in ways.items()}
    keep = ("s a step", "s of the update", "peak MB", "states in memory MB")
    return {name: {column: row[column] for column in keep} for name, row in found.items()}


def slots(options: Any) -> dict[str, Row]:
    """Return what slots for states take in a decoder with as many words as others have: its embedding is its largest matrix."""
    ways: dict[str, tuple[Any, ...]] = {
        PLAIN: (),
        "slots of each size, one file": (StatesOnDisk(ahead=6),),
        "slots of the largest size, one file": (StatesOnDisk(ahead=6, pooled=False),),
        "slots of the largest size, a file each": (StatesOnDisk(ahead=6, pooled=False, one_file=False),),
    }
    rows = {name: fresh(steps, options.data, methods, WORDS, 1) for name, methods in ways.items()}
    worst = rows["slots of the largest size, a file each"]["peak MB"]
    return {
        name: {
            "states in memory MB": row["states in memory MB"],
            "peak MB": row["peak MB"],
            "peak, of the last row's %": row["peak MB"] / worst,
            "weights equal": str(row["sum"] == rows[PLAIN]["sum"]).lower(),
        }
        for name, row in rows.items()
    }


def steps(data: Path, methods: tuple[Any, ...], words: int = 0, rows: int = ROWS) -> Row:
    """Return what steps of Adam take, by a decoder of letters, or of `words`, most of which do not come."""
    letters = Letters(data)
    torch.manual_seed(0)
    model = Decoder(words or letters.count, SHAPE)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    batches = [letters.batch(rows, SHAPE.length, step) for step in range(STEPS + 1)]
    seconds: list[float] = []
    updates: list[float] = []

    def step(batch: torch.Tensor) -> None:
        began = time.perf_counter()
        loss_of(model, batch).backward()
        middle = time.perf_counter()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - began)
        updates.append(time.perf_counter() - middle)

    def work() -> None:
        for batch in batches:
            step(batch)

    small = Decoder(
        letters.count, Shape(width=32, layers=1, heads=1)
    )  # what is loaded at the first use is no part of the peak
    loss_of(small, batches[0]).backward()
    torch.optim.Adam(small.parameters()).step()
    with attached(model, *methods, optimiser=optimiser):  # states come back into memory when it ends: not in the peak
        peak = taken(work).peak
        held = sum(t.nbytes for s in optimiser.state.values() for t in s.values())
    offloader = next((m for m in methods if isinstance(m, StatesOnDisk)), None)
    in_memory = held if offloader is None else offloader.moved.peak_in_memory
    return {
        "states in memory MB": round(in_memory / 1e6, 1),
        "peak MB": round(peak / 1e6, 1),
        "s a step": round(median(seconds[1:]), 3),
        "s of the update": round(median(updates[1:]), 3),
        "sum": float(sum(p.detach().double().abs().sum() for p in model.parameters())),
    }
