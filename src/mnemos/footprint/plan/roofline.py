"""Seconds of a prompt and of each token after it, from operations, bytes moved, and what a machine does of both a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.footprint.base import Prediction
from mnemos.registry import Paper, register

ROUNDS = 3
SIZES = (2**18, 2**20, 2**22, 2**24)  # bytes of tensors that are copied; caches hold the small ones


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine does in a second of its processor; measured by `measured`."""

    flops: float  # operations of products of large matrices
    bandwidth: float  # bytes of weights that products with one vector read
    copies: tuple[tuple[float, float], ...] = ()  # (bytes of a tensor, bytes a second at which it is copied), ascending
    layer: float = 0.0  # seconds that a layer takes which computes next to nothing

    @classmethod
    def measured(cls, layer: float = 0.0, width: int = 1024, rows: int = 256) -> Machine:
        """Return what this machine does now, with matrices of a width and products of some rows; takes about a second."""
        weights = [torch.randn(4 * width, width) for _ in range(8)]  # more than caches hold
        many, one = torch.randn(rows, width), torch.randn(1, width)
        with torch.no_grad():
            gemm = _least(lambda: [many @ w.T for w in weights[:2]])
            gemv = _least(lambda: [one @ w.T for w in weights])
            copies = []
            for size in SIZES:
                parts = [w[: size // w[0].nbytes] for w in weights]
                copies.append((float(size), len(parts) * size / _least(lambda: [torch.cat([p, one]) for p in parts])))  # noqa: B023
        return cls(
            2 * rows * weights[0].numel() * 2 / gemm, sum(w.nbytes for w in weights) / gemv, tuple(copies), layer
        )

    def copying(self, size: float) -> float:
        """Return the bytes a second at which tensors of a size are copied: between those that were measured, by its logarithm."""
        if not self.copies:
            return self.bandwidth / 2
        sizes, rates = zip(*self.copies, strict=True)
        at = min(max(math.log(max(size, 1)), math.log(sizes[0])), math.log(sizes[-1]))
        after = next(i for i, known in enumerate(sizes) if math.log(known) >= at)
        before = max(0, after - 1)
        share = 0.0 if after == before else (at - math.log(sizes[before])) / math.log(sizes[after] / sizes[before])
        return float(rates[before] + share * (rates[after] - rates[before]))


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a decoder matters here."""

    weights: int  # numbers that each token is multiplied with: of all layers and the head
    layers: int
    heads: int  # of queries
    kv_heads: int  # of keys and values
    head_width: int
    width: int = 4  # bytes of a number

    @classmethod
    def of(cls, model: Any) -> Shape:
        """Return the shape of a decoder of transformers."""
        config = model.config.to_dict()
        heads = config["num_attention_heads"]
        matrices = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Linear)}.values()
        return cls(
            sum(w.numel() for w in matrices), config["num_hidden_layers"], heads, config.get("num_key_value_heads") or heads,
            config.get("head_dim") or config["hidden_size"] // heads, next(iter(matrices)).element_size(),
        )  # fmt: skip


@register(
    "roofline",
    papers=(
        Paper("AI and Memory Wall", "2403.14123"),
        Paper(
            "Challenges in Deploying Long-Context Transformers: A Theoretical Peak Performance Analysis", "2405.08944"
        ),
    ),
)
@dataclass(frozen=True)
class Roofline:
    """Predict the seconds of a prompt and of the tokens after it, and say whether computing or moving bytes binds each.

    A pass over n tokens does 2 n operations for each weight, and 4 n T for each number of a head's queries, with T entries in the
    cache; it moves all weights and the cache once, and copies the cache `copied` times. The times of all are added, as little of
    one is done during another on a processor; the larger one binds.
    """

    shape: Shape  # of the model
    machine: Machine  # what it runs on
    prompt: int = 512  # tokens that are read at once
    generated: int = 0  # tokens after it, one by one
    batch: int = 1  # sequences
    copied: float = 1.0  # times that a pass copies the cache: 1 of a DynamicCache, 0 of one that grows in place

    def predict(self) -> Prediction:
        """Return bytes of weights and cache, and the seconds of all."""
        if self.prompt < 1 or self.generated < 0:
            raise InvalidInput(
                f"a prompt of {self.prompt} and {self.generated} tokens: give at least 1, and at least 0."
            )
        prefill, said = self.passed(self.prompt, 0)
        total, why = prefill, [f"the prompt takes {prefill:.3g} s: {said}"]
        for number in range(self.generated):
            seconds, said = self.passed(1, self.prompt + number)
            total += seconds
        if self.generated:
            why.append(f"the last token takes {seconds:.3g} s: {said}")
        parts = {"weights": self.shape.weights * self.shape.width, "cache": self.cache(self.prompt + self.generated)}
        return Prediction(sum(parts.values()), total, parts, tuple(why))

    def cache(self, tokens: int) -> int:
        """Return the bytes of the keys and values of some tokens."""
        shape = self.shape
        return 2 * self.batch * shape.layers * shape.kv_heads * shape.head_width * tokens * shape.width

    def passed(self, tokens: int, before: int) -> tuple[float, str]:
        """Return the seconds of a pass over some tokens of each sequence behind others, and what binds it."""
        shape, machine, entries = self.shape, self.machine, before + tokens
        rows = self.batch * tokens
        attention = 4 * rows * entries * shape.layers * shape.heads * shape.head_width
        flops = 2 * rows * shape.weights + attention
        moved = shape.weights * shape.width + self.cache(entries)
        computing, moving = flops / machine.flops, moved / machine.bandwidth
        cache = self.cache(entries)
        copying = self.copied * cache / machine.copying(cache / (2 * shape.layers))
        binds = "computing" if computing > moving else "moving bytes"
        seconds = computing + moving + copying + shape.layers * machine.layer
        return seconds, f"{binds} binds, at {flops / moved:.2g} operations a byte"


def _least(work: Callable[[], object]) -> float:
    """Return the least processor seconds of some runs."""
    found = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)
