"""The family in one table: how each form is trained, what it holds of a sequence, and what a token costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from mnemos.bench.parametric.spread import kept
from mnemos.neural.base import Mixer
from mnemos.neural.model import mixer

if TYPE_CHECKING:
    from mnemos.bench.neural.statespace import Options

WIDTH, TRAINED = 32, 512  # channels, and tokens that are trained on
FORMS = {  # layer -> whether its system depends on the token, and how it is trained
    "lssl": ("no", "convolution"),
    "s4d": ("no", "convolution"),
    "mamba": ("yes", "scan"),
    "mem-mamba": ("yes", "scan and chunks"),
    "b-mojo": ("yes", "scan and chunks"),
    "attention": ("yes", "all pairs"),
}


def costs(options: Options) -> dict[str, Any]:
    """Return for each layer its forms, the numbers of its state by length, milliseconds, and how far its forms differ."""
    return {name: kept(options.cache, f"costs {name}", partial(cost, name, *forms)) for name, forms in FORMS.items()}


def cost(name: str, selective: str, training: str) -> dict[str, Any]:
    """Return the row of one layer."""
    torch.manual_seed(0)
    layer = mixer(name, WIDTH)
    row: dict[str, Any] = {"selective": selective, "trained as": training}
    for length in (64, 1024):
        row[f"state at {length:,}"] = layer.state_size(length)
    with torch.no_grad():
        state = layer(torch.randn(1, 256, WIDTH))[1]
        row["ms a token"] = timed(partial(layer.step, torch.randn(1, WIDTH), state))
    x = torch.randn(4, TRAINED, WIDTH)
    row["ms to train on 4 x 512"] = timed(partial(trained, layer, x))
    with torch.no_grad():
        y, slow = layer(x[:1])[0], layer.naive(x[:1], layer.init_state(1))[0]
    return row | {"forms differ by": float((y - slow).abs().max() / slow.abs().max())}


def trained(layer: Mixer, x: torch.Tensor) -> None:
    """Go forward and backward."""
    layer(x)[0].sum().backward()


def timed(work: Callable[[], object], runs: int = 5) -> float:
    """Return the median of the processor's milliseconds."""
    work()
    taken = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        taken.append(1000 * (time.process_time() - begun))
    return round(median(taken), 3)
