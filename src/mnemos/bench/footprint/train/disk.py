"""Activations on disk: the peak of resident memory, the time of a step, and whether the gradients are those of plain training.

A decoder of six layers of width 192 reads eight rows of 256 letters a step. Bytes are those beyond the model and what the first,
smaller step left; every row runs in a process of its own. Seconds are the processor's, of all threads, in the quickest of the
steps, as other work shares the machine.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mnemos.bench.footprint.fresh import fresh
from mnemos.bench.footprint.letters import Decoder, Letters, Shape, loss_of
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.activations.disk import Disk
from mnemos.footprint.activations.recomputed import Recomputed
from mnemos.footprint.activations.token_wise import TokenWise
from mnemos.footprint.measure import taken

MIB = 1 << 20
SHAPE, ROWS, STEPS = Shape(width=192, layers=6, length=256), 8, 4
NEAR = partial(Disk, on_the_way=12 * MIB, ahead=8 * MIB)
PLAIN = "in memory"


def measure(options: Any) -> dict[str, Row]:
    """Return the rows of plain training, of the disk, of recomputation, and of both."""
    ways: dict[str, tuple[Any, ...]] = {
        PLAIN: (),
        "computed again": (Recomputed(),),
        "on disk": (NEAR(),),
        "on disk, half of each tensor": (NEAR(share=0.5),),
        "on disk, not in the system's cache": (NEAR(through=True),),
        "computed again, the rest on disk": (Recomputed(), NEAR()),
    }
    return beside_plain({name: fresh(steps, options.data, methods) for name, methods in ways.items()})


def token_wise(options: Any) -> dict[str, Row]:
    """Return a row for each share of tokens that feed-forward layers keep on the disk."""
    rows = {PLAIN: fresh(steps, options.data, ())}
    for share in (0.0, 0.5, 1.0):
        rows[f"{100 * share:.0f} %"] = fresh(steps, options.data, (TokenWise(share), NEAR()))
    return beside_plain(rows)


def throttled(options: Any) -> dict[str, Row]:
    """Return what a disk of some bytes a second is given in the first pass and in later ones."""
    rows = {}
    for name, speed in {"as fast as it is": None, "60 MB/s": 60e6, "20 MB/s": 20e6}.items():
        saver = Disk(throttle=speed, on_the_way=32 * MIB, ahead=8 * MIB)
        row = fresh(steps, options.data, (saver,))
        rows[name] = {k: row[k] for k in ("first pass MB", "last pass MB", "waited first s", "waited last s", "apart")}
    return rows


def steps(data: Path, methods: tuple[Any, ...]) -> Row:
    """Return what steps take with some methods attached, and how far the last gradients are from those of plain steps."""
    letters = Letters(data)
    torch.manual_seed(0)
    model = Decoder(letters.count, SHAPE)
    with attached(model, *methods):
        loss_of(model, letters.batch(1, 32, 0)).backward()  # what is loaded at the first use is no part of the peak
    batches = [letters.batch(ROWS, SHAPE.length, step) for step in range(STEPS)]
    disk = next((method for method in methods if isinstance(method, Disk)), None)
    seconds, passes = [], []

    def work() -> None:
        with attached(model, *methods) as usage:
            for rows in batches:
                model.zero_grad()
                began, before = time.process_time(), _sent(disk)
                loss_of(model, rows).backward()
                seconds.append(time.process_time() - began)
                passes.append([b - a for a, b in zip(before, _sent(disk), strict=True)])
            kept.append(usage.peak_kept)

    kept: list[int] = []
    peak = taken(work).peak
    got = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    loss_of(model, batches[-1]).backward()
    apart = max(
        float((a - p.grad).abs().max() / p.grad.abs().max()) for a, p in zip(got, model.parameters(), strict=True)
    )
    row: Row = {
        "peak MB": peak / 1e6,
        "processor s a step": min(seconds),
        "gradients apart": f"{apart:.1g}" if apart else "0",
    }
    if disk is not None:
        row |= {"first pass MB": passes[0][0] / 1e6, "last pass MB": passes[-1][0] / 1e6}
        row |= {"waited first s": passes[0][1], "waited last s": passes[-1][1], "apart": row["gradients apart"]}
    return row


def _sent(disk: Disk | None) -> tuple[float, float]:
    return (0.0, 0.0) if disk is None else (disk.traffic.written, disk.traffic.waited)


def beside_plain(rows: dict[str, Row]) -> dict[str, Row]:
    """Return rows with their peaks and times as shares of those of the first one."""
    plain = rows[PLAIN]
    return {
        name: {
            "peak MB": round(row["peak MB"], 1),
            "peak, of plain %": row["peak MB"] / plain["peak MB"],
            "processor s a step": round(row["processor s a step"], 3),
            "time, of plain": row["processor s a step"] / plain["processor s a step"],
            "gradients apart": row["gradients apart"],
        }
        for name, row in rows.items()
    }
