"""Measure stores of fetched blocks far beyond the trained length; see `long`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.encode.segments import cut, fill
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.emllm import EMLLM
from mnemos.activation.recall.infllm import InfLLM
from mnemos.activation.recall.moc import MoC
from mnemos.activation.recall.novel import NovelBlocks
from mnemos.activation.recall.sentencekv import SentenceKV
from mnemos.activation.recall.tiered_store import report
from mnemos.activation.recall.tiers import Tiers
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import greedy
from mnemos.bench.kv.tasks import Task
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.vocabulary import PERIOD
from mnemos.bench.progress import Progress

LENGTHS = (64, 128, 256, 512, 1024)
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SETTINGS: dict[str, Any] = {"size": 8, "top": 1, "local": 32, "sinks": 1, "step": 16, "tiers": Tiers(8)}
PIECES = (64, 32, 16, 8)
AROUND = 32  # tokens around the answer that the oracle is given
SEED = 41_000


def stores() -> dict[str, CacheMethod]:
    """Return the methods that are compared, by the name in the tables."""
    return {
        "full attention": CacheMethod(),
        "window": CacheMethod(store=Blocks(**SETTINGS, layers=())),
        "blocks (ours)": CacheMethod(store=Blocks(**SETTINGS, least=0.5)),
        "novel blocks (ours)": CacheMethod(store=NovelBlocks(**SETTINGS, representatives=2)),
        "infllm": CacheMethod(store=InfLLM(**SETTINGS, representatives=4)),
        "em-llm": CacheMethod(store=EMLLM(**SETTINGS, representatives=4, smallest=4)),
        "em-llm, by share (ours)": CacheMethod(store=EMLLM(**SETTINGS, representatives=4, smallest=4, worth="mass")),
        "sentencekv": CacheMethod(store=SentenceKV(**SETTINGS, ends=(PERIOD,), tokens=8)),
        "moc": CacheMethod(store=MoC(**SETTINGS | {"sinks": 8, "step": 1})),
    }


def compare(model: Any, contexts: int, progress: Progress) -> dict[str, Any]:
    """Return the answers to key-value questions by length, to the passkey by depth, and from joined pieces."""
    pairs: dict[str, dict[str, float]] = {}
    passkey: dict[str, dict[str, float]] = {}
    tiers: dict[str, Any] = {}
    progress.expect(len(LENGTHS) + len(DEPTHS))
    with one_thread(), torch.no_grad(), attached(model):
        for length in LENGTHS:
            task = tasks.key_value(contexts, length, 8, seed=SEED + length)
            for name, method in stores().items():
                score, cache = answered(model, task, method)
                pairs.setdefault(name, {})[str(length)] = score
                if name not in ("full attention", "window"):
                    held = report(cache)
                    tiers.setdefault(name, {})[str(length)] = {
                        "fast_bytes": held.fast_bytes, "slow_bytes": held.slow_bytes, "hit_rate": round(held.hit_rate, 4)
                    }  # fmt: skip
            pairs.setdefault("oracle", {})[str(length)] = oracle(model, task)
            progress(1)
        task = tasks.key_value(contexts, LENGTHS[0], 8, seed=SEED)
        pieces = {
            str(size): [joined(model, task, size, shuffled=shuffled) for shuffled in (False, True)] for size in PIECES
        }
        for depth in DEPTHS:
            task = tasks.passkey(2 * contexts, LENGTHS[-1], depth, seed=SEED + 1)
            for name, method in stores().items():
                passkey.setdefault(name, {})[str(depth)] = answered(model, task, method)[0]
            progress(1)
    return {"key-value": pairs, "passkey": passkey, "tiers": tiers, "joined": pieces}


def joined(model: Any, task: Task, size: int, *, shuffled: bool) -> float:
    """Return the share of questions answered when pieces of `size` tokens were read alone and joined (mode "block").

    The pieces come in their order or shuffled; pairs that a piece's end cuts apart are lost either way.
    """
    pieces = list(task.context.split(size, 1))
    order = torch.arange(len(pieces))
    if shuffled:
        order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(SEED))
    cache, segments, at = MemoryCache(model), [], 0
    for index in order.tolist():
        alone = MemoryCache(model)
        model(pieces[index], past_key_values=alone)
        segment = cut(alone, 0, alone.tokens_read, "")
        segment.keys = [cache.rotary().shift(keys, at) for keys in segment.keys]
        segments.append(segment)
        at += len(segment)
    fill(cache, segments)
    right = [
        greedy(model, cache.copy(), question, answer)
        for question, answer in zip(task.questions.unbind(1), task.answers.unbind(1), strict=True)
    ]
    return round(float(torch.stack(right).float().mean()), 4)


def answered(model: Any, task: Task, method: CacheMethod) -> tuple[float, MemoryCache]:
    """Return the share of questions answered, each of a copy of the cache that read its context, and that cache."""
    cache = MemoryCache(model, method)
    read(model, task.context, cache, chunk=SETTINGS["step"])  # EM-LLM cuts by the surprise of what has been read
    right: list[Tensor] = []
    for question, answer in zip(task.questions.unbind(1), task.answers.unbind(1), strict=True):
        right.append(greedy(model, cache.copy(), question, answer))
    return round(float(torch.stack(right).float().mean()), 4), cache


def oracle(model: Any, task: Task) -> float:
    """Return the share of questions answered after the first token and the tokens around the evidence alone."""
    right: list[Tensor] = []
    first = (task.evidence[..., 0] - AROUND // 2).clamp(1, max(task.length - AROUND, 1))  # (N, K)
    for turn, (question, answer) in enumerate(zip(task.questions.unbind(1), task.answers.unbind(1), strict=True)):
        index = first[:, turn, None] + torch.arange(min(AROUND, task.length - 1))
        around = torch.cat((task.context[:, :1], task.context.gather(1, index)), 1)
        cache = MemoryCache(model)
        model(around, past_key_values=cache)
        right.append(greedy(model, cache, question, answer))
    return round(float(torch.stack(right).float().mean()), 4)
