"""Measure kvpress and Mnemos on the same caches; see `kvpress`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import kvpress
import torch
import transformers
from transformers import DynamicCache

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.knorm import KeyNorm
from mnemos.activation.forget.lagkv import LagKV
from mnemos.activation.forget.random_eviction import RandomEviction
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.forget.tova import Tova
from mnemos.bench.kv import tasks
from mnemos.bench.kv.speed import llama
from mnemos.bench.kv.tiny_models import train_tiny_model
from mnemos.bench.progress import Progress

SHARES = (0.5, 0.25, 0.125)
CONTEXTS, LENGTH, SEED = 100, 64, 11
WINDOW, KERNEL, LAG = 1, 5, 8  # a window of 1 is what SnapKV takes here of so short a context
ROUNDS, STEPS, LONG = 60, 8, 8_192
Press = Callable[[float], Any]
Make = Callable[[float], CacheMethod]

# press of a share that goes, method of a share that stays, and on which questions they are compared
PAIRS: dict[str, tuple[Press, Make, str]] = {
    "random-eviction": (lambda r: kvpress.RandomPress(r, seed=0), lambda s: CacheMethod(RandomEviction(), prompt=s), "unknown"),
    "knorm": (lambda r: kvpress.KnormPress(r), lambda s: CacheMethod(KeyNorm(), prompt=s), "unknown"),
    "keydiff": (lambda r: kvpress.KeyDiffPress(r), lambda s: CacheMethod(KeyDiff(), prompt=s), "unknown"),
    "lagkv": (
        lambda r: kvpress.LagKVPress(r, n_sink=4, lag_size=LAG),
        lambda s: CacheMethod(LagKV(lag=LAG), prompt=s), "unknown",
    ),
    "streaming-llm": (lambda r: kvpress.StreamingLLMPress(r, n_sink=4), lambda s: CacheMethod(prompt=s, sinks=4), "unknown"),
    "h2o": (lambda r: kvpress.ObservedAttentionPress(r), lambda s: CacheMethod(H2O(mean=True), prompt=s), "unknown"),
    "snapkv": (
        lambda r: kvpress.SnapKVPress(r, window_size=WINDOW, kernel_size=KERNEL),
        lambda s: CacheMethod(SnapKV(window=WINDOW, kernel=KERNEL), prompt=s), "known",
    ),
    "tova": (lambda r: kvpress.TOVAPress(r), lambda s: CacheMethod(Tova(), prompt=s), "known"),
}  # fmt: skip


def measure(progress: Progress) -> dict[str, Any]:
    """Return the rows of all methods."""
    torch.set_num_threads(1)
    model = train_tiny_model("recall").model
    pairs = tasks.key_value(CONTEXTS, LENGTH, seed=SEED)
    sets = {"unknown": pairs, "known": pairs.known()}
    rows: dict[str, Any] = {}
    progress.expect(2 * len(PAIRS))
    with torch.no_grad():
        for name, (press, make, which) in PAIRS.items():
            rows[name] = {"questions": which, "shares": {}}
            for share in SHARES:
                theirs = score(model, sets[which], press(1 - share), name == "h2o")
                ours = score(model, sets[which], make(share), False)
                rows[name]["shares"][str(share)] = {"kvpress": theirs, "mnemos": ours}
            progress(1)
        long = llama(0)
        ids = torch.randint(3, 1_000, (1, LONG + ROUNDS * STEPS))
        for name, (press, make, _) in PAIRS.items():
            if name != "h2o":  # kvpress needs the whole attention matrix for it
                rows[name]["tokens_per_second"] = decode(long, ids, press, make)
            progress(1)
    return {
        "kvpress": "0.5.5", "transformers": transformers.__version__, "torch": torch.__version__, "contexts": CONTEXTS,
        "length": LENGTH, "seed": SEED, "long": LONG, "methods": rows,
    }  # fmt: skip


def score(model: Any, task: tasks.Task, way: Any, eager: bool) -> dict[str, float]:
    """Return the share of questions answered, and the share of a full cache's keys and values that is held."""
    cache = compressed(model, task.context, way, eager)
    held = sum(t.numel() for layer in cache.layers for t in (layer.keys, layer.values))
    config = model.config
    full = 2 * task.context.numel() * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    cache.batch_repeat_interleave(task.questions.shape[1])
    questions, answers = task.questions.flatten(0, 1), task.answers.flatten(0, 1)
    ids = torch.cat((questions, answers), 1)
    logits = ask(model, ids, cache, task.length)
    n = answers.shape[1]
    right = (logits[:, -n - 1 : -1].argmax(-1) == answers).all(1).float().mean()
    return {"accuracy": round(float(right), 4), "held": round(held / full, 4)}


def compressed(model: Any, context: torch.Tensor, way: Any, eager: bool) -> Any:
    """Return the cache of a context, compressed by a press or a method."""
    if isinstance(way, CacheMethod):
        cache: Any = MemoryCache(model, way)
        with attached(model):
            model(context, past_key_values=cache)
        return cache
    cache = DynamicCache()
    model.set_attn_implementation("eager" if eager else "sdpa")
    with way(model):
        model(context, past_key_values=cache)
    model.set_attn_implementation("sdpa")
    return cache


def ask(model: Any, ids: torch.Tensor, cache: Any, seen: int) -> torch.Tensor:
    """Return the logits of tokens after a cache; their positions go on from the tokens seen."""
    if isinstance(cache, MemoryCache):
        with attached(model):
            return model(ids, past_key_values=cache).logits
    places = torch.arange(seen, seen + ids.shape[1])[None].expand(len(ids), -1)
    return model(ids, past_key_values=cache, position_ids=places).logits


def decode(model: Any, ids: torch.Tensor, press: Press, make: Make) -> dict[str, float]:
    """Return tokens a second of both, a quarter of the context held: the median of turns of `STEPS` tokens."""
    ready = {
        name: compressed(model, ids[:, :LONG], way, False)
        for name, way in (("kvpress", press(0.75)), ("mnemos", make(0.25)))
    }
    seconds: dict[str, list[float]] = {name: [] for name in ready}
    for first in range(LONG, ids.shape[1], STEPS):
        for name, cache in ready.items():
            with attached(model) if name == "mnemos" else nullcontext():
                begin = time.perf_counter()
                for at in range(first, first + STEPS):
                    ask(model, ids[:, at : at + 1], cache, at)
                seconds[name].append(time.perf_counter() - begin)
    return {name: round(STEPS / statistics.median(times), 1) for name, times in seconds.items()}
