"""Answers of a model from a cache: the full cache of transformers, or any other.

`accuracy` asks every question alone, each of a copy of the cache that read the context; `accuracy_in_turn` asks them
one after another of the same cache, which keeps earlier questions and answers. An answer counts when all of its tokens
are the model's first choice after the right tokens, which is when greedy decoding would give it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mnemos.bench.kv import tasks
from mnemos.bench.kv.tasks import Task

LENGTHS = {"copy": 33, "repeated": 64}  # the longest: no token comes twice in these texts
NewCache = Callable[[], Any]


def prefill(model: Any, cache: Any, context: Tensor) -> None:
    """Read (N, T) tokens into the cache."""
    with torch.no_grad():
        model(context.to(model.device), past_key_values=cache, use_cache=True, logits_to_keep=1)


def ask(model: Any, cache: Any, questions: Tensor, answers: Tensor) -> Tensor:
    """Return which of (N, q) questions are answered with all of (N, a), as (N,) bool. The cache takes both in."""
    ids = torch.cat([questions, answers], 1).to(model.device)
    with torch.no_grad():
        logits = model(ids, past_key_values=cache, use_cache=True).logits
    n = answers.shape[1]
    right: Tensor = (logits[:, -n - 1 : -1].argmax(-1) == ids[:, -n:]).all(-1).cpu()
    return right


def greedy(model: Any, cache: Any, question: Tensor, answer: Tensor) -> Tensor:
    """Return which answers are the model's own, generated token by token, (N,). The cache takes both in."""
    asked, right = question, torch.ones(len(question), dtype=torch.bool)
    for at in range(answer.shape[1]):
        said = model(asked, past_key_values=cache).logits[:, -1].argmax(-1)
        right &= said == answer[:, at]
        asked = answer[:, at : at + 1]
    return right


def accuracy(model: Any, task: Task, new_cache: NewCache = DynamicCache) -> float:
    """Return the share of all questions that are answered, each alone right after its context."""
    cache = new_cache()
    prefill(model, cache, task.context)
    cache.batch_repeat_interleave(task.questions.shape[1])
    return float(ask(model, cache, task.questions.flatten(0, 1), task.answers.flatten(0, 1)).float().mean())


def accuracy_in_turn(model: Any, task: Task, new_cache: NewCache = DynamicCache) -> list[float]:
    """Return the share answered of the first, second, … questions, asked in turn of one cache."""
    cache = new_cache()
    prefill(model, cache, task.context)
    turns = zip(task.questions.unbind(1), task.answers.unbind(1), strict=True)
    return [ask(model, cache, question, answer).float().mean().item() for question, answer in turns]


def full(model: Any, length: int, contexts: int = 100, seed: int = 1) -> dict[str, float]:
    """Return the accuracy with the full cache by task, at `length` tokens; in turn: that of the worst turn."""
    scores = {}
    for name, make in tasks.TASKS.items():
        scores[name] = accuracy(model, make(contexts, min(length, LENGTHS.get(name, length)), seed=seed))
    pairs = tasks.key_value(contexts, length, seed=seed)
    scores["key-value-known"] = accuracy(model, pairs.known())
    scores["key-value-in-turn"] = min(accuracy_in_turn(model, pairs))
    return {name: round(score, 4) for name, score in scores.items()}
