"""Time and memory of training and reading against the length of a text: `mnemos bench neural-speed`.

One layer, 64 wide, one thread. Training is a forward and a backward pass over one sequence: seconds, and the memory that the
process holds at its peak above what it held before (Linux tells it). Reading is one token after a text: a step. The naive form
is the paper's formula, token by token, at the shortest length only.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mnemos.bench.plots import PALETTE, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

if TYPE_CHECKING:
    from torch import Tensor

    from mnemos.neural.base import Mixer

WIDTH = 64


@dataclass(frozen=True)
class Options:
    """Which layers, and how long the texts are."""

    layers: tuple[str, ...] = (
        "attention",
        "linear-attention",
        "gated-linear-attention",
        "delta-net",
        "gated-delta-net",
        "mlstm",
        "rwkv-7",
        "mamba",
        "s4d",
        "titans",
        "gru",
        "slstm",
    )  # names of layers
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096)  # tokens of a text
    repeats: int = 3  # the median counts


def table(result: Result) -> Rows:
    """Return time and memory by length."""
    lengths = result["lengths"]
    head = [*(f"{n:,} tokens" for n in lengths), "growth", *(f"MiB at {n:,}" for n in lengths[-1:]), "growth"]
    rows: Rows = [["layer", *head, "a step, ms", "formula, times as slow"]]
    for name, row in result["layers"].items():
        seconds, held = [row["seconds"][str(n)] for n in lengths], [row["mib"][str(n)] for n in lengths]
        grown = "–" if None in held else f"{held[-1] / max(held[0], 0.1):.1f} ×"
        peak = "–" if held[-1] is None else f"{held[-1]:.0f}"
        times = [f"{1000 * s:.0f} ms" for s in seconds]
        step, slow = f"{1000 * row['step']:.2f}", f"{row['naive'] / seconds[0]:.1f}"
        rows.append([name, *times, f"{seconds[-1] / seconds[0]:.1f} ×", peak, grown, step, slow])
    return rows


def plot(result: Result, path: Path) -> Path:
    """Draw tokens a second and peak memory against length. Raises MnemosError when matplotlib is not installed."""
    drawing = new_figure(11, 4.6)
    speed, memory = drawing.subplots(1, 2)
    lengths = result["lengths"]
    for i, (name, row) in enumerate(result["layers"].items()):
        style = {"color": PALETTE[i % len(PALETTE)], "marker": "os^vDPX*<>hp"[i % 12], "label": name}
        speed.plot(lengths, [n / row["seconds"][str(n)] for n in lengths], **style)
        memory.plot(lengths, [row["mib"][str(n)] or float("nan") for n in lengths], **style)
    for axis, title in ((speed, "Tokens a second, forward and backward"), (memory, "Peak memory of training, MiB")):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(lengths, [f"{n:,}" for n in lengths])
        axis.set_xlabel("tokens")
        axis.set_title(title, loc="left")
        tidy(axis)
    speed.legend(frameon=False, fontsize=8, ncols=2)
    drawing.savefig(str(path), dpi=100)
    return path


@benchmark(
    "neural-speed",
    help="Time and memory of layers against the length of a text.",
    options=Options,
    tables={"neural-speed": table},
    plot=plot,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each layer; see the module."""
    import torch

    from mnemos.bench.kv.threads import one_thread
    from mnemos.neural.model import mixer

    progress.expect(len(options.layers))
    found: dict[str, Any] = {}
    with one_thread():
        for name in options.layers:
            torch.manual_seed(0)
            found[name] = measure(mixer(name, WIDTH), options)
            progress(1)
    return {"lengths": list(options.lengths), "width": WIDTH, "layers": found}


def measure(layer: Mixer, options: Options) -> dict[str, Any]:
    """Return seconds and MiB by length, seconds of a step and of the naive form."""
    import torch

    def pass_over(form: Callable[[Tensor], Tensor], length: int) -> Callable[[], None]:
        x = torch.randn(1, length, WIDTH, requires_grad=True)
        return lambda: form(x).sum().backward()

    def fast(x: Tensor) -> Tensor:
        return layer(x)[0]

    def naive(x: Tensor) -> Tensor:
        return layer.naive(x, layer.init_state(1))[0]

    shortest = options.lengths[0]
    pass_over(fast, shortest)()
    mib = {str(n): peak(pass_over(fast, n)) for n in options.lengths}
    seconds = {str(n): median(timed(pass_over(fast, n)) for _ in range(options.repeats)) for n in options.lengths}
    with torch.no_grad():
        state, token = layer(torch.randn(1, shortest, WIDTH))[1], torch.randn(1, WIDTH)
        step = median(timed(lambda: layer.step(token, state)) for _ in range(20 * options.repeats))
    return {"seconds": seconds, "mib": mib, "step": step, "naive": timed(pass_over(naive, shortest))}


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak(work: Callable[[], object]) -> float | None:
    """Return the MiB that the process holds at most while something runs, above what it held before; None off Linux."""
    from mnemos.footprint.measure import RESET, forget_peak, resident

    if not RESET.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not counted as free room
    forget_peak()
    before = resident()
    work()
    return (resident(peak=True) - before) / 2**20
