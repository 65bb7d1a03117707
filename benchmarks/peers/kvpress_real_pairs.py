"""Measure kvpress and Mnemos on a real model; see `kvpress_real`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kvpress
import torch
import transformers
from transformers import DynamicCache

from mnemos.activation import MemoryCache, attached
from mnemos.activation.presets import get_preset
from mnemos.bench.kv.evaluate import answered
from mnemos.bench.kv.trials import RealModel, Trial
from mnemos.bench.progress import Progress

# press of a share that goes, with kvpress's own defaults
PRESSES: dict[str, Callable[[float], Any]] = {
    "random-eviction": lambda r: kvpress.RandomPress(r, seed=0),
    "streaming-llm": lambda r: kvpress.StreamingLLMPress(r, n_sink=4),
    "knorm": kvpress.KnormPress,
    "keydiff": kvpress.KeyDiffPress,
    "lagkv": lambda r: kvpress.LagKVPress(r, lag_size=32),
    "snapkv": kvpress.SnapKVPress,
    "tova": kvpress.TOVAPress,
    "pyramidkv": kvpress.PyramidKVPress,
    "adakv": lambda r: kvpress.AdaKVPress(kvpress.SnapKVPress(r)),
    "think": lambda r: kvpress.ThinKPress(r),
}


def measure(name: str, books: Path | None, shares: Sequence[float], limit: int, progress: Progress) -> dict[str, Any]:
    """Return the rows of all methods."""
    torch.set_num_threads(1)
    model = RealModel.load(name, books)
    trials = model.trials(("facts",), limit)
    progress.expect(len(PRESSES) * len(shares))
    rows: dict[str, Any] = {}
    with torch.no_grad():
        for method, press in PRESSES.items():
            rows[method] = {}
            for share in shares:
                theirs = [pressed(model, trial, press(1 - share)) for trial in trials]
                ours = [kept(model, trial, method, share) for trial in trials]
                rows[method][str(share)] = {"kvpress": mean(theirs), "mnemos": mean(ours)}
                progress(1)
    return {
        "kvpress": "0.5.5", "transformers": transformers.__version__, "torch": torch.__version__,
        "model": Path(name).name, "books": sorted(model.prose.books), "contexts": limit, "shares": list(shares),
        "methods": rows,
    }  # fmt: skip


def mean(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the means over contexts."""
    return {key: round(statistics.fmean(one[key] for one in found), 4) for key in found[0]}


def pressed(model: RealModel, trial: Trial, press: Any) -> dict[str, float]:
    """Return what kvpress scores on a context."""
    cache = DynamicCache()
    begin = time.perf_counter()
    with press(model.model):
        model.model(trial.ids, past_key_values=cache, logits_to_keep=1)
    seconds = time.perf_counter() - begin
    held = sum(int(t.nbytes) for layer in cache.layers for t in (layer.keys, layer.values))
    positions = Positions(model.model, trial.ids.shape[1])
    right = answered(positions, cache, trial.asks)
    return {
        "answered": statistics.fmean(right),
        "held": held / model.full_bytes(trial.ids.shape[1]),
        "seconds": seconds,
    }


class Positions:
    """A model whose positions go on from the tokens read: kvpress leaves that to the caller."""

    def __init__(self, model: Any, read: int) -> None:
        self.model, self.read = model, read

    def __call__(self, ids: torch.Tensor, past_key_values: Any) -> Any:
        """Return the output for ids (B, q) after the cache."""
        places = torch.arange(self.read, self.read + ids.shape[1])[None].expand(len(ids), -1)
        return self.model(ids, past_key_values=past_key_values, position_ids=places)


def kept(model: RealModel, trial: Trial, method: str, share: float) -> dict[str, float]:
    """Return what Mnemos scores on a context."""
    cache = MemoryCache(model.model, get_preset(method).at_share(share))
    with attached(model.model):
        begin = time.perf_counter()
        model.model(trial.ids, past_key_values=cache, logits_to_keep=1)
        seconds = time.perf_counter() - begin
        held = cache.nbytes / model.full_bytes(trial.ids.shape[1])
        right = answered(model.model, cache, trial.asks)
    return {"answered": statistics.fmean(right), "held": held, "seconds": seconds}
