"""Product keys against brute force, and how a look-up's time grows: a part of `mnemos bench slots`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from mnemos.parametric.recall.product_keys import ProductKeyMemory

TABLES = (32, 64, 128, 256, 512, 1024)  # half keys; slots are their squares
TOKENS, WIDTH, HEADS, K, KEY = 16, 64, 2, 8, 32
ROUNDS = 3


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Return, by slots, the share of look-ups that equal brute force, and the milliseconds of both for 16 tokens."""
    rows: dict[str, dict[str, Any]] = {}
    for n in TABLES:
        equal, ours, brute = [], [], []
        for seed in range(options.seeds):
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
        rows[f"{n * n:,}"] = {
            "exact": min(equal), "look-up_ms": round(min(ours), 3), "all_keys_ms": round(min(brute), 3)
        }  # fmt: skip
    return rows


def least(call: Callable[[], Any]) -> float:
    """Return the least processor time of a call in milliseconds, over a few rounds."""
    call()
    found = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        found = min(found, time.process_time() - began)
    return 1000 * found
