"""LongMem on key-value pairs that were read two segments ago (arXiv 2306.07174).

A context of 96 tokens is read in segments of 32, then the questions alone: what was read is in the bank or nowhere.
The model is the small one of `train-models`, frozen; the network beside it is trained with the bank, and another of
the same size without.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from mnemos.activation.recall.longmem import LongMem
from mnemos.bench.kv import tasks
from mnemos.bench.kv.tasks import Task
from mnemos.bench.kv.trained_layers import train_layer

SEGMENT, LENGTH, PAIRS = 32, 96, 6
TEST_SEED = 55_000


def answers(memory: LongMem, task: Task, recall: bool) -> tuple[Tensor, Tensor]:
    """Return the logits at the answers (n, V) and the answers (n,), after reading the contexts when it recalls."""
    memory.bank.clear()
    if recall:
        for segment in task.context.split(SEGMENT, 1):
            memory(segment)
    ids, marks = task.turns()
    logits = memory(ids, recall=recall)[:, :-1]
    return logits[marks[:, 1:]], ids[:, 1:][marks[:, 1:]]


def train(model: Any, recall: bool) -> LongMem:
    """Return the network beside a model, trained with or without the bank."""
    rng = tasks.generator(7)

    def loss(memory: LongMem) -> Tensor:
        value: Tensor = cross_entropy(*answers(memory, tasks.key_value(16, LENGTH, PAIRS, rng), recall))
        return value

    name = "longmem-bank" if recall else "longmem-none"
    trained: LongMem = train_layer(name, lambda: LongMem(model, size=256, found=4), loss, steps=60, rate=3e-3)
    return trained


def measure(model: Any, contexts: int) -> dict[str, dict[str, float]]:
    """Return accuracy and perplexity of the answers, of the model alone and of the networks beside it."""
    task = tasks.key_value(contexts, LENGTH, PAIRS, seed=TEST_SEED)
    ids, marks = task.turns()
    alone = model(ids).logits[:, :-1][marks[:, 1:]], ids[:, 1:][marks[:, 1:]]
    rows = {"the model alone": alone}
    for name, recall in (("a network of that size without a bank", False), ("longmem", True)):
        rows[name] = answers(train(model, recall), task, recall)
    return {
        name: {
            "accuracy": round(float((logits.argmax(-1) == wanted).float().mean()), 4),
            "perplexity": round(math.exp(float(cross_entropy(logits, wanted))), 2),
        }
        for name, (logits, wanted) in rows.items()
    }
