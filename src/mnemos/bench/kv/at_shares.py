"""Measure cache methods at shares of a full cache's bytes; see `matrix`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from mnemos.activation import MemoryCache, attached
from mnemos.activation.base import LayerView
from mnemos.activation.compress.kivi import Axis, Kivi
from mnemos.activation.forget.compresskv import CompressKV, ErrorBudgets, layer_errors, semantic_scores, top_heads
from mnemos.activation.forget.retrieval_heads import RetrievalHeads, retrieval_scores
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.layer import CacheLayer
from mnemos.activation.method import CacheMethod
from mnemos.activation.presets import Preset, all_presets
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import ask
from mnemos.bench.kv.tasks import Task
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.tiny_models import with_outliers
from mnemos.bench.progress import SILENT, Progress
from mnemos.bench.registry import near
from mnemos.errors import InvalidInput, NotFound

AXES: tuple[Axis, ...] = ("channel", "token")
LENGTH, TEST_SEED, FIT_SEED = 64, 2026, 77
TASKS: dict[str, Callable[[int, int], Task]] = {
    "key-value": lambda n, seed: tasks.key_value(n, LENGTH, seed=seed),
    "key-value-known": lambda n, seed: tasks.key_value(max(n // 4, 1), LENGTH, seed=seed).known(),
    "records": lambda n, seed: tasks.records(n, LENGTH, seed=seed),
    "records-known": lambda n, seed: tasks.records(max(n // 4, 1), LENGTH, seed=seed).known(),
    "topics": lambda n, seed: tasks.topics(n, LENGTH, seed=seed),
    "passkey": lambda n, seed: tasks.passkey(n, LENGTH, seed=seed),
    "repeated": lambda n, seed: tasks.repeated(n, LENGTH, seed=seed),
}


def compare(
    model: Any, methods: Sequence[str], shares: Sequence[float], contexts: int, progress: Progress
) -> dict[str, Any]:
    """Return the results of presets (all without `methods`) on a model.

    Raises NotFound for an unknown preset, and InvalidInput for one that is registered with an unknown task.
    """
    with one_thread(), torch.no_grad():
        presets = all_presets() | calibrated(model)
    for name in methods:
        if name not in presets:
            raise NotFound(f"there is no cache method {name!r}: {near(name, presets)}")
    chosen = {name: preset for name, preset in presets.items() if not methods or name in methods}
    for preset in chosen.values():
        check_task(preset.name, preset.task)
    progress.expect(len(chosen) * len(shares))
    with one_thread(), torch.no_grad(), attached(model):
        return measure(model, chosen, contexts, shares, progress)


def check_task(name: str, task: str) -> None:
    """Raise InvalidInput where a method is registered with a task that is not measured here."""
    if task not in TASKS:
        raise InvalidInput(f"{name} is registered with the unknown task {task!r}: {near(task, TASKS)}")


def calibrated(model: Any) -> dict[str, Preset]:
    """Return the presets of methods that are fitted to a model first, on records of another seed."""
    task = tasks.records(50, LENGTH, seed=FIT_SEED)
    context, question, answer = task.context, task.questions[:, 0], task.answers[:, 0]
    evidence = task.evidence[:, 0]
    heads = top_heads(semantic_scores(model, context, question, answer, evidence), 1)
    errors = layer_errors(model, CacheMethod(CompressKV(heads, kernel=5)), context, question, 0.25)
    copying = retrieval_scores(model, context, question, answer, evidence[:, -answer.shape[1] :])
    made: dict[str, Callable[[float], CacheMethod]] = {
        "compresskv": lambda share: CacheMethod(CompressKV(heads, kernel=5), prompt=share),
        "compresskv-budgets": lambda share: CacheMethod(
            CompressKV(heads, kernel=5), prompt=share, allocation=ErrorBudgets(errors)
        ),
        "retrieval-heads": lambda share: CacheMethod(
            SnapKV(kernel=5), prompt=share, allocation=RetrievalHeads(copying)
        ),
    }
    baselines = ("random-eviction", "sliding-window", "snapkv")
    return {name: Preset(name, make, "records-known", baselines, "prompt") for name, make in made.items()}


def measure(
    model: Any, presets: dict[str, Preset], contexts: int, shares: Sequence[float], progress: Progress = SILENT
) -> dict[str, Any]:
    """Return the results of presets on a model that attends through Mnemos."""
    made = {name: make(contexts, TEST_SEED) for name, make in TASKS.items()}
    full = {name: measure_task(model, task, CacheMethod())["bytes"] for name, task in made.items()}
    rows: dict[str, Any] = {}
    for name, preset in presets.items():
        cells: dict[str, dict[str, Any]] = {task: {} for task in (*made, "in-turn", "decode")}
        for share in shares:
            try:
                method = preset.at_share(share)
            except InvalidInput:
                continue  # it cannot be that small
            for task_name, task in made.items():
                with suppress(InvalidInput):  # it cannot be that small on this task
                    cells[task_name][str(share)] = as_shares(measure_task(model, task, method), full[task_name])
            with suppress(InvalidInput):
                cells["in-turn"][str(share)] = in_turn(model, made["key-value"], method)
            if preset.phase == "decode":
                with suppress(InvalidInput):
                    cells["decode"][str(share)] = token_by_token(model, made["key-value"], preset, share)
            progress(1)
        rows[name] = {"task": preset.task, "baselines": preset.baselines, "phase": preset.phase, "tasks": cells}
    return {"methods": rows, "beaten": beaten(rows)}


def outliers(model: Any, contexts: int) -> dict[str, dict[str, list[float]]]:
    """Return the answers with rounded keys, per channel and per token, by bits and by the size of outlier channels."""
    task, found = tasks.key_value(contexts, LENGTH, seed=TEST_SEED), dict[str, dict[str, list[float]]]()
    for scale in (1, 10, 30):
        copy = with_outliers(model, scale)
        with one_thread(), torch.no_grad(), attached(copy):
            for bits in (8, 4, 2):
                pair = [
                    measure_task(copy, task, CacheMethod(store=Kivi(bits, keys=axis, residual=0)))["accuracy"]
                    for axis in AXES
                ]
                found.setdefault(str(scale), {})[str(bits)] = pair
    return found


def as_shares(row: dict[str, Any], full: int) -> dict[str, Any]:
    """Return a row with its bytes as shares of a full cache's."""
    share = {"held": round(row["bytes"] / full, 4), "peak": round(row["peak"] / full, 4)}
    return {"accuracy": row["accuracy"], **share, "read_ms": row["read_ms"], "answers_per_second": row["rate"]}


def measure_task(model: Any, task: Task, method: CacheMethod) -> dict[str, Any]:
    """Read the contexts of a task, ask each question alone, and return accuracy, bytes and times."""
    cache = Watched(model, method)
    begin = time.perf_counter()
    model(task.context, past_key_values=cache)
    read = time.perf_counter()
    held, peak = cache.nbytes, cache.peak
    count = task.questions.shape[1]
    if count > 1:
        cache.batch_repeat_interleave(count)
    asked = time.perf_counter()
    right = ask(model, cache, task.questions.flatten(0, 1), task.answers.flatten(0, 1))
    seconds = time.perf_counter() - asked
    return {
        "accuracy": round(float(right.float().mean()), 4), "bytes": held, "peak": peak,
        "read_ms": round(1e3 * (read - begin) / len(task), 3), "rate": round(len(right) / seconds, 1),
    }  # fmt: skip


def in_turn(model: Any, task: Task, method: CacheMethod, turns: int = 5) -> list[float]:
    """Return the share answered of the first to fifth question: the first stands at the end of what is compressed."""
    cache = MemoryCache(model, method)
    first, answers = task.questions[:, 0], task.answers[:, 0]
    logits = model(torch.cat((task.context, first), 1), past_key_values=cache, logits_to_keep=1).logits
    found = [float((logits[:, -1].argmax(-1) == answers[:, 0]).float().mean())]
    model(answers, past_key_values=cache)
    for turn in range(1, turns):
        right = ask(model, cache, task.questions[:, turn], task.answers[:, turn])
        found.append(float(right.float().mean()))
    return [round(score, 4) for score in found]


def token_by_token(model: Any, task: Task, preset: Preset, share: float) -> dict[str, Any]:
    """Read the context a token at a time, holding at most a share of it, and return what is answered then."""
    most = max(int(share * task.length), 1)
    cache = MemoryCache(model, replace(preset.at_share(share), prompt=None, decode=most, separate_budgets=False))
    for at in range(task.length):
        model(task.context[:, at : at + 1], past_key_values=cache, logits_to_keep=1)
    held = max(max(layer) for layer in cache.held)
    cache.batch_repeat_interleave(task.questions.shape[1])
    right = ask(model, cache, task.questions.flatten(0, 1), task.answers.flatten(0, 1))
    return {"accuracy": round(float(right.float().mean()), 4), "entries": held}


def beaten(rows: dict[str, Any], share: str = "0.25") -> dict[str, Any]:
    """Return whether each preset beats its baselines on its task at a share, and by what margin."""
    found: dict[str, Any] = {}
    for name, row in rows.items():
        task = row["task"]
        check_task(name, task)
        mine = row["tasks"][task].get(share)
        others = [rows[b]["tasks"][task].get(share) for b in row["baselines"] if b in rows]
        if mine is None or not others or None in others:  # one of them cannot be that small
            continue
        margin = mine["accuracy"] - max(other["accuracy"] for other in others)
        found[name] = {"task": task, "margin": round(margin, 4), "beaten": margin > 0}
    return found


class Watched(MemoryCache):
    """A cache that records the most bytes it held, right before an eviction."""

    def __init__(self, model: Any, method: CacheMethod) -> None:
        super().__init__(model, method)
        self.peak = 0

    def new_layer(self, index: int) -> WatchedLayer:
        """Return an empty layer of this cache."""
        return WatchedLayer(self, index)


class WatchedLayer(CacheLayer):
    """A layer of such a cache."""

    def __init__(self, cache: Watched, index: int) -> None:
        self.cache = cache
        super().__init__(cache.state, index)

    def evict(self, views: list[LayerView]) -> None:
        """Record the bytes held, then evict."""
        self.cache.peak = max(self.cache.peak, self.cache.nbytes)
        super().evict(views)
