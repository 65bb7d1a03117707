"""Measure caches that choose what they hold for a question or fetch it in time; see `fetch`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.forget.citrus import Citrus
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.recall.epicache import EpiCache
from mnemos.activation.recall.memory3 import Library
from mnemos.activation.recall.specache import SpeCache, speculate
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import ask
from mnemos.bench.kv.tasks import Task
from mnemos.bench.kv.vocabulary import BOS, FILLERS, KEYS, SIZE, VALUES

SEED = 52_000  # of the contexts: nothing was chosen on them
BUDGET = 16  # entries of 64
REFERENCE, TEXTS = 16, 3  # tokens of a reference; references that are found for a question
Caches = Callable[[int], Callable[[Tensor], Any]]  # conversation -> question -> cache


def specache(model: Any, contexts: int) -> dict[str, dict[str, float]]:
    """Return the answers of eight tokens with a rough copy alone, and with exact entries fetched for each token."""
    task = tasks.repeated(contexts, 56, 2, seed=SEED).known()
    ways: dict[str, tuple[SpeCache | None, bool]] = {
        "full cache": (None, False),
        "2 bits alone": (SpeCache(bits=2, top=0, residual=8), False),
        "4 bits alone": (SpeCache(bits=4, top=0, residual=8), False),
        "2 bits, 4 entries fetched for the current token": (SpeCache(bits=2, top=4, residual=8), False),
        "specache: 2 bits, 4 entries fetched for a guess of the next": (SpeCache(bits=2, top=4, residual=8), True),
    }
    rows: dict[str, dict[str, float]] = {}
    full = 0
    for name, (store, guess) in ways.items():
        cache = MemoryCache(model, CacheMethod() if store is None else CacheMethod(store=store))
        with attached(model):
            said = [read(model, task.context, cache).argmax(-1, keepdim=True)]
            if guess:
                said = [speculate(model, said[0], cache, task.answers.shape[2])]
            while sum(t.shape[1] for t in said) < task.answers.shape[2]:
                said.append(model(said[-1], past_key_values=cache).logits[:, -1:].argmax(-1))
        right = (torch.cat(said, 1) == task.answers[:, 0]).all(1)
        rows[name] = {"accuracy": share(right)}
        if store is None:
            full = cache.nbytes
            rows[name]["fast"] = 1.0
            continue
        stores: list[Any] = [layer.groups[0].store for layer in cache.layers]
        rows[name]["fast"] = round(sum(s.fast_bytes for s in stores) / full, 4)
        if store.top:
            rows[name]["hit_rate"] = round(sum(s.hits for s in stores) / sum(s.wanted for s in stores), 4)
    return rows


def epicache(model: Any, contexts: int) -> dict[str, dict[str, float]]:
    """Return the answers about a conversation of 64 tokens from 16 entries a layer, and the most held at any time."""
    task = tasks.key_value(contexts, 64, 8, seed=SEED + 1)
    peaks: list[int] = []

    def episodes(count: int, sharpness: float = 0.0) -> Caches:
        def caches(i: int) -> Callable[[Tensor], Any]:
            memory = EpiCache(
                model, BUDGET, block=16, episodes=count, medoids=8, sharpness=sharpness, embed=bag_of_tokens
            )
            memory.read(task.context[i], list(task.context[i].split(8)))
            peaks.append(memory.peak)
            return memory.ask

        return caches

    def one(method: CacheMethod, known: bool) -> Caches:
        def caches(i: int) -> Callable[[Tensor], Any]:
            cache = MemoryCache(model, method)
            text = torch.cat((task.context[i], task.questions[i, 0])) if known else task.context[i]
            read(model, text[None], cache)
            peaks.append(task.length + int(known))
            return lambda question: cache.copy()

        return caches

    ways = {
        "full cache": one(CacheMethod(), False),
        "snapkv, for the first question": one(CacheMethod(SnapKV(), prompt=BUDGET), True),
        "one cache for all questions, in blocks": episodes(1),
        "epicache: 4 episodes": episodes(4),
        "epicache: 4 episodes, layers by sensitivity": episodes(4, 0.5),
    }
    rows = {}
    for name, caches in ways.items():
        peaks.clear()
        with attached(model):
            right = [
                model(question[None], past_key_values=cache_of(question)).logits[0, -1].argmax() == value
                for i in range(len(task))
                for cache_of in [caches(i)]
                for question, value in zip(task.questions[i], task.answers[i, :, 0], strict=True)
            ]
        rows[name] = {"accuracy": share(torch.stack(right)), "peak": max(peaks)}
    return rows


def memory3(model: Any, contexts: int) -> dict[str, dict[str, float]]:
    """Return the answers from memories of references and from their texts, and the time to the first token."""
    rows: dict[str, dict[str, float]] = {}
    facts = references(contexts)
    libraries = {
        "memory3: half of the layers, 8 of 16 by attention": Library(
            model, tokens=8, longest=32, nearest=TEXTS, embed=bag_of_keys
        ),
        "memory3: last layer, 8 of 16 by keydiff": library(model, 8),
        "memory3: last layer, 4 of 16 by keydiff": library(model, 4),
        "memory3: last layer, 2 of 16 by keydiff": library(model, 2),
    }
    for held in libraries.values():
        for ids, _, _ in facts:
            held.add(ids)
    finder = next(iter(libraries.values()))

    def pasted(asked: Tensor) -> Tensor:
        texts = [facts[number][0] for number in finder.find(asked[0])]
        logits: Tensor = model(torch.cat((*texts, asked[0]))[None], logits_to_keep=1).logits[0, -1]
        return logits

    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "model alone": lambda asked: model(asked).logits[0, -1],
        f"the {TEXTS} nearest texts pasted": pasted,
    }
    ways |= {name: lambda asked, held=held: held.read(asked, held.cache())[0] for name, held in libraries.items()}  # type: ignore[misc]
    layers = model.config.num_hidden_layers
    for name, answer in ways.items():
        right, seconds = [], []
        for _, key, value in facts:
            asked = torch.tensor([[BOS, int(key)]])
            start = time.perf_counter()
            right.append(answer(asked).argmax() == value)
            seconds.append(time.perf_counter() - start)
        rows[name] = {"accuracy": share(torch.stack(right)), "first_token_ms": round(1e3 * min(seconds), 2)}
        if name in libraries:
            held = libraries[name]
            rows[name]["kept"] = round(held.tokens / REFERENCE * len(held.layers or ()) / layers, 4)
    return rows


def citrus(model: Any, contexts: int) -> dict[str, dict[str, float]]:
    """Return the answers to a known question after reading chunks of 8 against 8 entries, and the perplexity."""
    task = tasks.key_value(contexts, 64, 8, seed=SEED + 2)
    context, question = task.context.repeat_interleave(8, 0), task.questions.flatten(0, 1)
    answers = task.answers.flatten(0, 1)
    ways = {
        "full cache": Citrus(64, 8),
        "the chunk chooses": Citrus(8, 8),
        "citrus: the instruction chooses": Citrus(8, 8, question),
        "citrus: two caches": Citrus(8, 8, question, two=True),
    }
    rows = {}
    for name, reader in ways.items():
        cache = reader.read(model, context)
        with attached(model):
            right = ask(model, cache, question, answers)
        rows[name] = {"accuracy": share(right), "perplexity": round(math.exp(fmean(reader.losses)), 2)}
    window = MemoryCache(model, CacheMethod(prompt=16, sinks=1))
    with attached(model):
        read(model, context, window)
        rows["sink and recent, 16 entries"] = {"accuracy": share(ask(model, window, question, answers))}
    return rows


def references(count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return texts of 16 tokens with one pair, (ids, key, value), no key twice: at most as many as there are keys."""
    task: Task = tasks.key_value(min(count, len(KEYS)), REFERENCE, 1, seed=SEED + 3)
    keys = torch.tensor(list(KEYS))[: len(task)]
    task.context.scatter_(1, task.evidence[:, 0, :1], keys[:, None])
    return list(zip(task.context, keys, task.answers[:, 0, 0], strict=True))


def library(model: Any, tokens: int) -> Library:
    """Return a library whose memories the small model can use, without having been trained with any."""
    last = model.config.num_hidden_layers - 1
    return Library(model, tokens=tokens, longest=32, nearest=TEXTS, layers=[last], score=KeyDiff(), embed=bag_of_keys)


def bag_of_tokens(ids: Tensor) -> Tensor:
    """Return which tokens are in a text, (SIZE,): fillers count less, values nothing."""
    vector = torch.zeros(SIZE)
    vector[ids] = 1.0
    vector[: KEYS.start] = vector[VALUES.start : VALUES.stop] = 0.0
    vector[FILLERS.start :] *= 0.3
    return vector


def bag_of_keys(ids: Tensor) -> Tensor:
    """Return which keys are in a text, (SIZE,)."""
    vector = torch.zeros(SIZE)
    vector[ids] = 1.0
    vector[: KEYS.start] = vector[KEYS.stop :] = 0.0
    return vector


def share(right: Tensor) -> float:
    """Return the share that is right."""
    return round(float(right.float().mean()), 4)
