"""Measure caches for masked-diffusion decoding; see `diffusion`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.activation.diffusion.base import NoReuse, ReusePolicy, Step
from mnemos.activation.diffusion.decode import Decoded, DecodingSchedule, decode
from mnemos.activation.diffusion.dkv import DkvDecode, DkvGreedy
from mnemos.activation.diffusion.fast_dllm import FastDllm, parallel
from mnemos.activation.diffusion.model import MaskedLM, Shape
from mnemos.activation.diffusion.sparse_dllm import SparseDllm
from mnemos.bench.kv.masked_lm import ANSWER, BLOCK, PROMPT, right

LARGE = Shape(1000, layers=4, hidden=256, heads=4, width=64, mlp=512)
LARGE_PROMPT, LARGE_ANSWER, LARGE_BLOCK = 384, 64, 32
ONE = DecodingSchedule(BLOCK)  # a token a step
DRAWN = DecodingSchedule(BLOCK, order="random")


@dataclass(frozen=True)
class RandomEntries(SparseDllm):
    """Sparse-dLLM with scores drawn at random: a control."""

    kernel: int = 1

    def score(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor:
        """Return random numbers, (B, T)."""
        rng = torch.Generator().manual_seed(1_000 * step.start + layer)
        return torch.rand(step.ids.shape, generator=rng).to(key)


@dataclass(frozen=True)
class NearestEntries(SparseDllm):
    """Sparse-dLLM that keeps what is nearest to the block, on both sides: recency without an order of writing."""

    kernel: int = 1

    def score(self, step: Step, layer: int, query: Tensor, key: Tensor) -> Tensor:
        """Return minus the distance to the block, (B, T)."""
        slots = torch.arange(key.shape[2], device=key.device)
        distance = torch.maximum(step.start - slots, slots - (step.end - 1))
        return -distance.to(key.dtype).expand(step.ids.shape)


def measure(model: MaskedLM, prompts: Tensor) -> dict[str, Any]:
    """Return the policies' results and the ablations, on prompts (N, PROMPT)."""
    masked = torch.full((len(prompts), ANSWER), model.mask)
    ids = torch.cat([prompts, masked], 1)
    plain = {s: decode(model, ids, NoReuse(), s) for s in (ONE, DRAWN)}

    def of(policy: ReusePolicy | None, schedule: DecodingSchedule = ONE) -> dict[str, float]:
        found = decode(model, ids, policy or NoReuse(), schedule)
        against = plain.get(schedule) or decode(model, ids, NoReuse(), schedule)
        return row(found, against, prompts, len(model.layers))

    policies = {
        "none": of(None),
        "fast-dllm, prefix": of(FastDllm(dual=False)),
        "fast-dllm, dual": of(FastDllm()),
        "dkv-decode": of(DkvDecode()),
        "dkv-pd": of(DkvDecode(prompt=False)),
        "sparse-dllm": of(SparseDllm()),
        "none, drawn order": of(None, DRAWN),
        "dkv-greedy": of(DkvGreedy(), DRAWN),
        "dkv-greedy, no refresh": of(DkvGreedy(refresh=BLOCK), DRAWN),
    }
    delay = {}
    for refresh in (2, 4, 8):
        delayed = of(DkvDecode(refresh))
        others = {n: of(DkvDecode(n, delay=False)) for n in range(refresh, 0, -1)}
        # the longest refresh of immediate caching that computes no less
        n = next(n for n, other in others.items() if other["recomputed"] >= delayed["recomputed"])
        delay[str(refresh)] = {
            "delayed": delayed, "immediate, same refresh": others[refresh],
            "immediate, no lower cost": others[n] | {"refresh": n},
        }  # fmt: skip
    kept = {
        str(keep): {
            "attention": of(SparseDllm(keep)), "attention, no delay": of(SparseDllm(keep, delay=0)),
            "before the softmax": of(SparseDllm(keep, softmax=False)),
            "random": of(RandomEntries(keep)), "nearest": of(NearestEntries(keep)),
        }
        for keep in (0.5, 0.25, 0.125)
    }  # fmt: skip
    return {"policies": policies, "delay": delay, "keep": kept, "parallel": in_parallel(of)}


def row(found: Decoded, plain: Decoded, prompts: Tensor, layers: int) -> dict[str, float]:
    """Return the figures of one policy; `plain` is the decoding without reuse."""
    answers, expected = (d.ids[:, PROMPT:] for d in (found, plain))
    return {
        "accuracy": round(right(prompts, answers).float().mean().item(), 4),
        "agreement": round((answers == expected).float().mean().item(), 4),
        "steps": round(found.steps.float().mean().item(), 2),
        "recomputed": round(found.recomputed.float().mean().item(), 1),
        "attended": round(found.attended / len(prompts) / layers, 1),
        "bytes": found.nbytes // len(prompts),
    }


def in_parallel(of: Callable[..., dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return decoding by probability, and by fixed numbers of tokens that take just as many or just fewer steps."""
    rows: dict[str, dict[str, float]] = {}
    for name, policy in (("none", None), ("fast-dllm, dual", FastDllm()), ("sparse-dllm", SparseDllm())):
        sure = rows[f"{name}, threshold 0.9"] = of(policy, parallel(block=BLOCK))
        for tokens in range(1, BLOCK + 1):
            fixed = rows[f"{name}, {tokens} a step"] = of(policy, DecodingSchedule(BLOCK, tokens))
            if fixed["steps"] < sure["steps"]:
                break
    return rows


@dataclass
class Recorder:
    """Lets a model attend to its own keys and values, and records them."""

    layers: dict[int, Tensor]

    def update(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Record keys and values and return them."""
        self.layers[layer] = torch.stack([key, value])  # (2, B, H, T, D)
        return key, value


def likeness(model: MaskedLM, prompts: Tensor) -> dict[str, float]:
    """Return the mean cosine of keys and values with those of the step before, in decoding without reuse.

    "around" is all outside the block in the steps of one block, which is what Fast-dLLM's dual cache reuses; "just
    decoded", "decoded" and "masked" are the slots of the answer; steps that begin a block are left out of "around"
    only.
    """
    ids = torch.cat([prompts, torch.full((len(prompts), ANSWER), model.mask)], 1)
    sums: dict[str, list[Tensor]] = {}
    last: dict[int, Tensor] = {}

    def watch(step: Step, positions: Tensor, logits: Tensor) -> None:
        now = Recorder({})
        with torch.no_grad():
            model(step.ids, None, now)
        if last:
            alike = torch.stack([functional.cosine_similarity(now.layers[i], last[i], dim=-1) for i in now.layers])
            alike = alike.mean((0, 1, 3))  # (B, T), over layers, keys and values, heads
            answer = torch.zeros_like(step.masked)
            answer[:, PROMPT:] = True
            marks = {
                "just decoded": step.masked_before & ~step.masked,
                "decoded": answer & ~step.masked_before,
                "masked": step.masked,
            }
            if step.number:
                marks["around"] = ~step.in_block()
            for name, mark in marks.items():
                sums.setdefault(name, []).append(alike[mark])
        last.update(now.layers)

    decode(model, ids, None, ONE, watch=watch)
    return {name: round(torch.cat(parts).mean().item(), 4) for name, parts in sorted(sums.items())}


def wall(seed: int = 0, repeats: int = 2) -> dict[str, dict[str, float]]:
    """Return seconds and tokens a second of one text on a larger, untrained model, the best of `repeats` runs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MaskedLM(LARGE).eval().requires_grad_(False)
    ids = torch.randint(
        0, LARGE.vocabulary, (1, LARGE_PROMPT + LARGE_ANSWER), generator=torch.Generator().manual_seed(seed)
    )
    ids[:, LARGE_PROMPT:] = model.mask
    schedules = {"": DecodingSchedule(LARGE_BLOCK), "drawn": DecodingSchedule(LARGE_BLOCK, order="random")}
    rows: dict[str, dict[str, float]] = {}
    for name, policy, order in (
        ("none", None, ""), ("fast-dllm, prefix", FastDllm(dual=False), ""), ("fast-dllm, dual", FastDllm(), ""),
        ("dkv-decode", DkvDecode(), ""), ("dkv-pd", DkvDecode(prompt=False), ""), ("dkv-greedy", DkvGreedy(), "drawn"),
        ("sparse-dllm", SparseDllm(), ""),
    ):  # fmt: skip
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            decode(model, ids, policy, schedules[order])
            times.append(time.perf_counter() - started)
        rows[name] = {"seconds": round(min(times), 3), "tokens_per_second": round(LARGE_ANSWER / min(times), 1)}
        rows[name]["speedup"] = round(rows["none"]["seconds"] / rows[name]["seconds"], 2)
    return rows
