"""Contexts far beyond the trained length: `mnemos bench kv-long`.

The small model was trained on contexts of up to 72 tokens. Here it reads up to 1,024: with full attention, with the
last tokens alone, with blocks that are fetched when asked for, and, for the most that fetching could give, with the
block that holds the answer put before it and nothing else (oracle). A question is asked of a copy of the cache; its
whole answer must be right. And contexts of 64 tokens, cut into pieces that are read alone and joined: what the mode
"block" of KV cubes costs. Contexts come from seeds on which nothing was chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.encode.segments import cut, fill
from mnemos.activation.recall.blocks import Blocks, Tiers, report
from mnemos.activation.recall.emllm import EMLLM
from mnemos.activation.recall.infllm import InfLLM
from mnemos.activation.recall.moc import MoC
from mnemos.activation.recall.novel import NovelBlocks
from mnemos.activation.recall.sentencekv import SentenceKV
from mnemos.bench.kv import tasks
from mnemos.bench.kv.tasks import Task
from mnemos.bench.kv.tiny_models import one_thread, train_tiny_model
from mnemos.bench.kv.vocabulary import PERIOD

LENGTHS = (64, 128, 256, 512, 1024)
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SETTINGS: dict[str, Any] = {"size": 8, "top": 1, "local": 32, "sinks": 1, "step": 16, "tiers": Tiers(8)}
PIECES = (64, 32, 16, 8)
AROUND = 32  # tokens around the answer that the oracle is given
SEED = 41_000
Progress = Callable[[int], None]


def ways() -> dict[str, CacheMethod]:
    """Return what is compared."""
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


def run(seed: int = 0, contexts: int = 25, progress: Progress | None = None) -> dict[str, Any]:
    """Measure key-value questions by length, and the passkey by depth at the longest."""
    small = train_tiny_model("recall", seed, progress=progress)
    pairs: dict[str, dict[str, float]] = {}
    passkey: dict[str, dict[str, float]] = {}
    tiers: dict[str, Any] = {}
    with one_thread(), torch.no_grad(), attached(small.model):
        for length in LENGTHS:
            task = tasks.key_value(contexts, length, 8, seed=SEED + length)
            for name, method in ways().items():
                score, cache = answered(small.model, task, method)
                pairs.setdefault(name, {})[str(length)] = score
                if name not in ("full attention", "window"):
                    held = report(cache)
                    tiers.setdefault(name, {})[str(length)] = {
                        "fast_bytes": held.fast_bytes, "slow_bytes": held.slow_bytes, "hit_rate": round(held.hit_rate, 4)
                    }  # fmt: skip
            pairs.setdefault("oracle", {})[str(length)] = oracle(small.model, task)
            if progress:
                progress(1)
        task = tasks.key_value(contexts, LENGTHS[0], 8, seed=SEED)
        pieces = {
            str(size): [joined(small.model, task, size, shuffled=shuffled) for shuffled in (False, True)]
            for size in PIECES
        }
        for depth in DEPTHS:
            task = tasks.passkey(2 * contexts, LENGTHS[-1], depth, seed=SEED + 1)
            for name, method in ways().items():
                passkey.setdefault(name, {})[str(depth)] = answered(small.model, task, method)[0]
            if progress:
                progress(1)
    trained = small.record["recipe"]["longest"]
    return {
        "seed": seed,
        "contexts": contexts,
        "trained": trained,
        "key-value": pairs,
        "passkey": passkey,
        "tiers": tiers,
        "joined": pieces,
    }


def joined(model: Any, task: Task, size: int, *, shuffled: bool) -> float:
    """Return the share of questions answered when pieces of `size` tokens were read alone and joined (mode "block").

    The pieces stand in their order, or in another one; the pairs that a piece's end cuts apart are lost either way.
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


def greedy(model: Any, cache: MemoryCache, question: Tensor, answer: Tensor) -> Tensor:
    """Return which answers are the model's own, token by token, (N,)."""
    asked, right = question, torch.ones(len(question), dtype=torch.bool)
    for at in range(answer.shape[1]):
        told = model(asked, past_key_values=cache).logits[:, -1].argmax(-1)
        right &= told == answer[:, at]
        asked = answer[:, at : at + 1]
    return right


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
