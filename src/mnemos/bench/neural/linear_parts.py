"""The parts of `mnemos bench linear-layers`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.neural.linear_layers import Options
from mnemos.bench.neural.pair_models import rows
from mnemos.bench.neural.pairs import Pairs
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.progress import Progress
from mnemos.neural.base import Mixer
from mnemos.neural.linear.attention import Attention
from mnemos.neural.linear.bounded import BoundedMemory
from mnemos.neural.linear.ffm import FastAndForgetfulMemory
from mnemos.neural.linear.retention import Retention
from mnemos.neural.model import Layer

SMALL = {"key": 8, "value": 8}


def same(*names: str) -> dict[str, Sequence[Layer]]:
    """Return layers with a matrix of 8 keys and 8 values."""
    return {name: [(name, SMALL)] for name in names}


MEMBERS: dict[str, dict[str, Sequence[Layer]]] = {
    "recall": {
        "attention": ["attention"],
        **same("linear-attention", "retention", "mamba-2", "gated-linear-attention", "lightnet", "mlstm"),
        **same("delta-net", "gated-delta-net", "rwkv-7"),
        "based": [("based", {"key": 2, "value": 8})],
        "bounded-memory": [("bounded-memory", {**SMALL, "window": 8})],
        "fast-and-forgetful-memory": [("fast-and-forgetful-memory", {"memory": 8})],
        "attention-as-an-rnn": ["attention-as-an-rnn"],
        "causal-relation, growing": ["causal-relation"],
        "causal-relation, linear": [("causal-relation", {"mode": "linear"})],
        "causal-relation, relu": [("causal-relation", {"activation": "relu"})],
        "synaptic-resonance": ["synaptic-resonance"],
    },
    "changed": same("linear-attention", "retention", "mamba-2", "mlstm", "delta-net", "gated-delta-net", "rwkv-7"),
    "mixture": {
        "4 memories, 2 a token": [("mixture-of-memories", {"key": 4, "value": 8})],
        "one of the same rule": [("gated-delta-net", {"key": 4, "value": 8})],
        "one as large as all": [("gated-delta-net", {"key": 20, "value": 8})],
    },
}
TASKS = {"recall": Pairs(8, 0, 8, 8), "changed": Pairs(6, 0, 8, 8, changed=4), "mixture": Pairs(12, 0, 8, 8)}


def measure(part: str, options: Options, progress: Progress) -> dict[str, Any]:
    """Return the rows of a part."""
    if part in MEMBERS:
        progress.expect(len(MEMBERS[part]) * options.seeds)
        task = TASKS[part]
        return rows(MEMBERS[part], task, options.steps, [options.rate], options.seeds, options.cache, progress)
    if part == "speed":
        return speed()
    by_seed = [collapse(seed) for seed in range(options.seeds)]
    return {row: over_seeds([found[row] for found in by_seed]) for row in by_seed[0]}


def collapse(seed: int) -> dict[str, dict[str, float]]:
    """Return the norm of what is read of the memory by length, beside that at 64 tokens."""
    torch.manual_seed(seed)
    x, found = torch.randn(2, 4096, 32), {}
    plain = BoundedMemory(32, key=16, value=16, window=None)
    with torch.no_grad():
        plain.log_rate.fill_(-3.0)
        usual = float(plain(x[:, :64])[1]["memory"].norm(dim=(-1, -2)).mean())
        for name, options in (
            ("as it is", {"window": None}),
            ("window of 64", {"window": 64}),
            ("ceiling", {"window": None, "ceiling": usual}),
        ):
            layer = BoundedMemory(32, key=16, value=16, **options)
            layer.load_state_dict(plain.state_dict())
            found[name] = {f"{n:,} tokens": held(layer, x[:, :n]) / usual for n in (64, 256, 1024, 4096)}
    return found


def held(layer: BoundedMemory, x: Tensor) -> float:
    """Return the mean norm of the memory after a text, that of the window where there is one."""
    if layer.window is None:
        return float(layer(x)[1]["memory"].norm(dim=(-1, -2)).mean())
    _, k, v, decay = layer.said(x[:, -layer.window :], layer.init_state(len(x)), None)
    left = (decay.sum(2, keepdim=True) - decay.cumsum(2)).exp()
    return float(((k * left).transpose(-1, -2) @ v).norm(dim=(-1, -2)).mean())


class Gru(nn.Module):  # type: ignore[misc]
    """PyTorch's GRU, which returns what a mixer does."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.GRU(width, width, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and the last state."""
        y, state = self.cell(x)
        return y, state


def speed() -> dict[str, dict[str, float]]:
    """Return milliseconds of processor time of a forward and a backward pass of one text, the best of two."""
    torch.manual_seed(0)
    retention = Retention(64)
    layers: dict[str, Callable[[Tensor], Any]] = {
        "retention, by blocks": retention,
        "retention, token by token": lambda x: retention.naive(x, retention.init_state(len(x))),
        "attention": Attention(64),
        "fast and forgetful memory": FastAndForgetfulMemory(64),
        "GRU": Gru(64),
    }
    found: dict[str, dict[str, float]] = {}
    for name, layer in layers.items():
        found[name] = {f"{n:,} tokens": passes(layer, n) for n in (512, 1024, 2048)}
    return found


def passes(layer: Callable[[Tensor], Any] | Mixer, length: int) -> float:
    """Return the milliseconds of one forward and backward pass."""
    best = float("inf")
    for _ in range(2):
        x = torch.randn(1, length, 64, requires_grad=True)
        started = time.process_time()
        layer(x)[0].sum().backward()
        best = min(best, time.process_time() - started)
    return round(1000 * best, 1)
