"""Product keys against brute force, and how a look-up's time grows: a part of `mnemos bench slots`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from mnemos.bench.parametric.spread import kept
from mnemos.parametric.recall.product_keys import ProductKeyMemory

TABLES = (32, 64, 128, 256, 512, 1024)  # half keys; slots are their squares
TOKENS, WIDTH, HEADS, K, KEY = 16, 64, 2, 8, 32
ROUNDS = 3


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Return, by slots, the share of look-ups that equal brute force, and the milliseconds of both for 16 tokens."""
    return {
        f"{n * n:,}": kept(options.cells, f"keys {n} {options.seeds}", partial(compare, n, options.seeds))
        for n in TABLES
    }


def compare(n: int, seeds: int) -> dict[str, Any]:
    """Return the figures of two tables of n half keys: the worst of the seeds' exactness, the best of their times."""
    equal, ours, brute = [], [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        layer = ProductKeyMemory(WIDTH, n, HEADS, K, KEY, "batch").eval()
        hidden = torch.randn(TOKENS, WIDTH)

        def whole(layer: ProductKeyMemory = layer, hidden: torch.Tensor = hidden) -> Any:
            halves = layer.half_scores(hidden)
            return (halves[0][..., :, None] + halves[1][..., None, :]).flatten(-2).topk(K, -1).indices

        with torch.no_grad():
            equal.append(float((layer.look_up(hidden)[0] == whole()).double().mean()))
            ours.append(least(partial(layer.look_up, hidden)))
            brute.append(least(whole))
    return {"exact": min(equal), "look-up_ms": round(min(ours), 3), "all_keys_ms": round(min(brute), 3)}


def least(call: Callable[[], Any]) -> float:
    """Return the least processor time of a call in milliseconds, over a few rounds."""
    call()
    found = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        found = min(found, time.process_time() - began)
    return 1000 * found
