"""Two layers whose attention makes all scores at once, over 3,072 tokens: whole, in slices by a budget, and in fixed slices.

Peaks are of resident memory, beyond what is there before, each in a process of its own; the slowdown is by processor seconds,
slices and whole in turns in one process, the least of two. `of the budget` is the peak by what was allowed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.footprint.fresh import fresh
from mnemos.bench.footprint.running import Options
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.activations.chunked import Chunked
from mnemos.footprint.measure import return_freed_memory, taken

LENGTH, WIDTH, HEADS, LAYERS, ROUNDS = 3072, 128, 4, 2, 2
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "budget 25 %": {"share": 0.25},
    "budget 10 %": {"share": 0.10},
    "budget 5 %": {"share": 0.05},
    "fixed slices of 4": {"share": 0.10, "chunk": 4},
    "fixed slices of 64": {"share": 0.10, "chunk": 64},
    "fixed slices of 1,024": {"share": 0.10, "chunk": 1024},
}


class Block(nn.Module):  # type: ignore[misc]
    """Causal attention as it is written down, and a feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, T, D)."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.first(x)).view(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (d // HEADS) ** 0.5
        scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        y: Tensor = x + self.feed(self.second(x))
        return y


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    rows: dict[str, Row] = {name: fresh(_taken, name) for name in WAYS}
    whole = rows["whole"]["peak MB"]
    return {name: {"peak MB": row["peak MB"], "of whole %": row["peak MB"] / whole} | row for name, row in rows.items()}


def _taken(name: str) -> Row:
    return_freed_memory()  # from the first block on: what the heap once had stays resident when it is used again
    torch.manual_seed(0)
    model = nn.Sequential(*(Block() for _ in range(LAYERS))).requires_grad_(False)
    x = torch.randn(1, LENGTH, WIDTH)
    with torch.no_grad():
        if name == "whole":
            model(x[:, :64])
            return {"peak MB": taken(lambda: model(x)).peak / 1e6}
        method = Chunked(**WAYS[name])
        with attached(model, method):
            model(x)  # traced
            peak = taken(lambda: model(x)).peak
            layers = list(model)
            row = {
                "peak MB": peak / 1e6,
                "of the budget %": peak / layers[0].budget,
                "regions": len(method.why) / LAYERS,
            }
            sliced, plain = [], []
            for _ in range(ROUNDS):
                sliced.append(taken(lambda: model(x)).cpu)
                plain.append(taken(lambda: nn.Sequential(*(layer.inner for layer in layers))(x)).cpu)
            off = (model(x) - nn.Sequential(*(layer.inner for layer in layers))(x)).abs().max()
    return row | {"slowdown": min(sliced) / min(plain), "off by, 1e-6": 1e6 * float(off)}
