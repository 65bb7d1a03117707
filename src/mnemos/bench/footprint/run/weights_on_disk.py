"""Feed-forward layers on disk with room for half of their bytes: whole layers against the neurons that are active.

A model of Shakespeare (`shakespeare.LARGE`) reads text that it was not trained on, a letter at a time, as it would while it
generates. Bytes and calls are of a warm state, after a prompt. `tokens/s` is at a disk of 100 MB/s that answers eight calls at
once in 0.1 ms, and `cold` at this machine's own, whose pages the kernel is told to drop after each read; the best of three runs.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.footprint.shakespeare import LARGE, LENGTH, trained
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.weights.active_neurons import Bounded, Finder, LowRank, Predictor
from mnemos.footprint.weights.files import Drive
from mnemos.footprint.weights.neurons_on_disk import NeuronsOnDisk
from mnemos.footprint.weights.paged_weights import PagedWeights
from mnemos.footprint.weights.relu_feeds import find, recorded

SHARE, PROMPT, TOKENS, TIMED, ROUNDS = 0.5, 32, 150, 20, 3
SLOW, COLD = Drive(bandwidth=1e8, latency=1e-4, threads=8), Drive(cold=True, threads=8)
Method = PagedWeights | NeuronsOnDisk


def ways(model: Any, inputs: dict[str, Tensor]) -> dict[str, Method]:
    """Return what is compared, by name."""
    layers = tuple(find(model))
    guess = _Once(LowRank())
    neurons = NeuronsOnDisk(share=SHARE, predictor=Bounded(), inputs=inputs)
    return {
        "layers, least recently used": PagedWeights(share=SHARE, layers=layers),
        "layers, the first pinned": PagedWeights(share=SHARE, layers=layers, pinned=True),
        "neurons, active now": replace(neurons, window=0),
        "neurons, window of 5": neurons,
        "neurons, window of 5, two reads each": replace(neurons, bundled=False),
        "neurons, least recently used": replace(neurons, window=None),
        "neurons, half of the room hot": replace(neurons, window=None, hot=0.5),
        "neurons, window of 5, guessed": replace(neurons, predictor=guess),
        "neurons, half of the room hot, guessed": replace(neurons, window=None, hot=0.5, predictor=guess),
    }


class _Once:
    """A predictor that learns once for each layer, however often it is attached."""

    def __init__(self, of: Predictor) -> None:
        self.of = of
        self.known: dict[float, Finder] = {}

    def finder(self, weight: Tensor, bias: Tensor, inputs: Tensor | None) -> Finder:
        """Return the finder of a layer."""
        layer = float(weight.sum())
        if layer not in self.known:
            self.known[layer] = self.of.finder(weight, bias, inputs)
        return self.known[layer]


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    text = Letters(options.data)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        model = trained(LARGE, text, seed)
        ids = text.tests(options.seeds, PROMPT + TOKENS)[seed]
        given = text.batch(16, LENGTH, 1_000_003 * seed - 1)[:, :-1]
        inputs = recorded(model, partial(model, given))
        plain = _Reading(model, ids)
        plain.run(None, TOKENS)
        found.setdefault("in memory", []).append({"tokens/s": _speed(model, ids, None), "loss": plain.loss})
        for name, method in ways(model, inputs).items():
            found.setdefault(name, []).append(_measured(model, ids, method, plain))
    return {name: over_seeds(rows) for name, rows in found.items()}


def _measured(model: Any, ids: Tensor, method: Method, plain: _Reading) -> dict[str, float]:
    total = sum(feed.nbytes for feed in find(model).values())
    reading = _Reading(model, ids)
    reading.run(method, TOKENS)
    reads, hits = method.reads, {}
    if isinstance(method, NeuronsOnDisk):
        hits = {"active, in memory %": 1 - method.missing / method.wanted}
    row = {
        "of the bytes in memory %": reading.held / total,
        "kB a token": reads.nbytes / TOKENS / 1000,
        "calls a token": reads.calls / TOKENS,
        **hits,
    }
    for name, disk in (("tokens/s", SLOW), ("cold", COLD)):
        row[name] = _speed(model, ids, replace(method, disk=disk))
    return row | {
        "loss": reading.loss,
        "loss, more %": reading.loss / plain.loss - 1,
        "logits off by, 1e-6": 1e6 * float((reading.logits - plain.logits).abs().max()),
    }


def _speed(model: Any, ids: Tensor, method: Method | None) -> float:
    """Return the tokens a second of the fastest of some runs, as the machine does other work, too."""
    reading = _Reading(model, ids)
    speeds = []
    for _ in range(ROUNDS):
        reading.run(method, TIMED)
        speeds.append(reading.speed)
    return max(speeds)


class _Reading:
    """A model reads letters one by one."""

    def __init__(self, model: Any, ids: Tensor) -> None:
        self.model, self.ids = model, ids
        self.held = 0

    def run(self, method: Method | None, count: int) -> None:
        """Read a prompt, then letters."""
        said = []
        with torch.no_grad(), nullcontext() if method is None else attached(self.model, method):
            cache = self.model(self.ids[None, :PROMPT], use_cache=True).past_key_values
            if method is not None:
                self.held = method.held
                method.reads.calls, method.reads.nbytes = 0, 0
            if isinstance(method, NeuronsOnDisk):
                method.wanted = method.missing = 0
            started = time.perf_counter()
            for at in range(PROMPT, PROMPT + count):
                out = self.model(self.ids[None, at : at + 1], past_key_values=cache, use_cache=True)
                said.append(out.logits[0, -1])
            self.speed = count / (time.perf_counter() - started)
            if method is not None:
                self.held = max(self.held, method.held)
        self.logits = torch.stack(said)
        self.loss = float(F.cross_entropy(self.logits, self.ids[PROMPT + 1 : PROMPT + count + 1]))
