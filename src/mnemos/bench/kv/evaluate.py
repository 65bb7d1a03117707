"""Measure a cache method on a real model, from recorded prefills: what it answers, and the bytes that it holds.

    model = RealModel.load("smollm2", books=Path("books"), half="development", cache=Path("prefills"))
    trials = model.trials(("facts", "loss"), contexts=4)          # records what is not recorded yet
    scores = evaluate(model, KeyDiff.at_share, trials, 0.25)       # or the name of a preset, or a CacheMethod
    scores["facts"].mean, scores["facts"].held                     # .61, and .25 of a full cache's bytes

The first time a trial takes one prefill (some seconds for 512 tokens on one core), from then on a method takes about a
second a trial. Bytes are those of all tensors that the cache holds right after the context, as a share of the keys and
values of a full cache in the model's own dtype.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.presets import get_preset
from mnemos.bench.kv.recorded import replay
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.trials import KNOWN, TURNS, Ask, RealModel, Trial

Method = str | CacheMethod | Callable[[float], CacheMethod]
FIRST, STEP = 64, 32  # tokens read at once, then in each step, where a method evicts while it reads


@dataclass(frozen=True)
class Measured:
    """One trial of a method."""

    score: float  # share of the questions answered; of a loss, nats a token
    held: float  # bytes held right after the context, as a share of a full cache's
    seconds: float  # to compress it
    exact: bool  # whether the recorded prefill was used


@dataclass
class Score:
    """What a method scored on one task."""

    trials: list[tuple[int, Measured]] = field(default_factory=list)  # by the seed of the context

    @property
    def each(self) -> list[float]:
        """The score of each context, by its seed."""
        found: dict[int, list[float]] = {}
        for seed, trial in self.trials:
            found.setdefault(seed, []).append(trial.score)
        return [statistics.fmean(found[seed]) for seed in sorted(found)]

    @property
    def mean(self) -> float:
        """The mean over contexts."""
        return statistics.fmean(self.each)

    @property
    def error(self) -> float:
        """The standard error of the mean, by contexts."""
        return statistics.stdev(self.each) / len(self.each) ** 0.5 if len(self.each) > 1 else 0.0

    @property
    def held(self) -> float:
        """Bytes held right after the context, as a share of a full cache's: the mean over trials."""
        return statistics.fmean(trial.held for _, trial in self.trials)

    @property
    def seconds(self) -> float:
        """Seconds to compress a context that has been read; to read it too, where it is read in steps."""
        return statistics.fmean(trial.seconds for _, trial in self.trials)

    @property
    def exact(self) -> bool:
        """Whether recorded prefills were used: the method changes nothing of the prefill itself."""
        return all(trial.exact for _, trial in self.trials)


def evaluate(model: RealModel, method: Method, trials: Sequence[Trial], share: float) -> dict[str, Score]:
    """Return the scores of a method at a share of a full cache's bytes, by task.

    Raises InvalidInput where the method cannot be that small, and NotFound for an unknown preset.
    """
    scores: dict[str, Score] = {}
    with one_thread(), torch.no_grad(), attached(model.model):
        for trial in trials:
            made = method_of(method, share)
            for task, measured in run_trial(model, made, trial, share).items():
                scores.setdefault(task, Score()).trials.append((trial.seed, measured))
    return scores


def method_of(method: Method, share: float) -> CacheMethod:
    """Return a method at a share: a preset by its name, a function of the share, or the method itself."""
    if isinstance(method, CacheMethod):
        return method
    return (get_preset(method).at_share if isinstance(method, str) else method)(share)


def run_trial(model: RealModel, method: CacheMethod, trial: Trial, share: float) -> dict[str, Measured]:
    """Compress one context by a method, and return what the model scores then, by task."""
    if trial.stepwise and (method.score is not None or method.prompt is not None or method.decode is not None):
        most = max(int(share * trial.ids.shape[1]), 1)
        method = replace(method, prompt=None, decode=most, separate_budgets=False)
    cache, exact = MemoryCache(model.model, method), True
    prefill = None if trial.stepwise else model.prefill(trial)
    begin = time.perf_counter()
    if prefill is None:
        read_in_steps(model.model, cache, trial.ids)
    else:
        exact = replay(model.model, prefill, cache)
    seconds = time.perf_counter() - begin
    held = cache.nbytes / model.full_bytes(trial.ids.shape[1])
    found = scored(model.model, cache, trial)
    return {task: Measured(number, held, seconds, exact) for task, number in found.items()}


def scored(model: Any, cache: MemoryCache, trial: Trial) -> dict[str, float]:
    """Return what the model scores on a trial whose context is in the cache, by task."""
    if trial.loss is not None:
        return {trial.task: loss(model, cache, trial.loss)}
    if trial.in_turn:
        if cache.method.decode is None:
            right = answered_at_once(model, cache, trial.asks)
        else:  # each question may evict
            right = [answered(model, cache, [ask])[0] for ask in trial.asks]
        return {KNOWN: float(right[0]), TURNS: statistics.fmean(right[2:])}
    return {trial.task: statistics.fmean(answered(model, cache, trial.asks))}


def read_in_steps(model: Any, cache: MemoryCache, ids: Tensor) -> None:
    """Read a text as a generation would go: its beginning at once, then a few tokens a call, each of which may evict."""
    model(ids[:, :FIRST], past_key_values=cache)
    for at in range(FIRST, ids.shape[1], STEP):
        model(ids[:, at : at + STEP], past_key_values=cache)


def answered(model: Any, cache: MemoryCache, asks: Sequence[Ask]) -> list[bool]:
    """Return which questions are answered, each alone after the cache, which takes them in.

    An answer counts when all of its tokens are the model's first choice, or where it chooses, when its first token is
    more likely than those of the other choices. Shorter questions are padded behind, where nothing sees the padding.
    """
    if len(asks) > 1:
        cache.batch_repeat_interleave(len(asks))
    size = max(len(ask.question) + len(ask.answer) for ask in asks)
    rows = [[*ask.question, *ask.answer] for ask in asks]
    ids = torch.tensor([row + [0] * (size - len(row)) for row in rows])
    logits = model(ids, past_key_values=cache).logits
    found = []
    for row, ask in zip(logits, asks, strict=True):
        said = row[len(ask.question) - 1 :][: len(ask.answer)]
        if ask.choices:
            found.append(int(said[0, list(ask.choices)].argmax()) == ask.choices.index(ask.answer[0]))
        else:
            found.append(said.argmax(-1).tolist() == list(ask.answer))
    return found


def answered_at_once(model: Any, cache: MemoryCache, asks: Sequence[Ask]) -> list[bool]:
    """Return which questions are answered, one after another: read in one call, where nothing is evicted in between."""
    ids, ends = list[int](), []
    for ask in asks:
        ids += ask.question
        ends.append(len(ids))
        ids += ask.answer
    said = model(torch.tensor([ids]), past_key_values=cache).logits[0].argmax(-1).tolist()
    return [tuple(said[at - 1 : at - 1 + len(ask.answer)]) == ask.answer for at, ask in zip(ends, asks, strict=True)]


def loss(model: Any, cache: MemoryCache, ids: Tensor) -> float:
    """Return the mean loss, in nats, of tokens (1, n) after the cache, of which the first is only read."""
    logits = model(ids[:, :-1], past_key_values=cache).logits
    return float(torch.nn.functional.cross_entropy(logits[0].float(), ids[0, 1:]))
