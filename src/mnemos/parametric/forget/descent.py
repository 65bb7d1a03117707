"""The loop of unlearners that train: a loss of what is to be forgotten, and one of what is to be kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import Encoded, answer_loss, differentiable, encode, said
from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change, recorded

Loss = Callable[[Any, Sequence[Encoded], Sequence[int]], Tensor]  # of a batch and its numbers in `forget`


class Training(Protocol):
    """Settings of the loop."""

    @property
    def steps(self) -> int:
        """Steps at most."""

    @property
    def rate(self) -> float:
        """Rate of Adam."""

    @property
    def batch(self) -> int:
        """Examples of a step, to forget and as many to keep."""

    @property
    def retain(self) -> float:
        """Weight of the loss of what is to be kept."""

    @property
    def stop(self) -> float:
        """Share of the answers' tokens said greedily at which it stops; it is looked at after each step."""

    @property
    def seed(self) -> int:
        """Of the order of examples."""


def descend(model: Any, forget: Sequence[Encoded], keep: Sequence[Encoded], loss: Loss, knobs: Training) -> Change:
    """Train all weights on `loss` of what is to be forgotten, plus `retain` times the loss of what is to be kept."""
    if not forget or (knobs.retain and not keep):
        raise InvalidInput("there is nothing to forget, or nothing to keep: give examples of both, or retain=0.")
    names, draw = [name for name, _ in model.named_parameters()], random.Random(knobs.seed)
    with recorded(model, names) as recording, differentiable(model, names) as weights:
        optimiser = torch.optim.Adam(list(weights.values()), lr=knobs.rate)
        for _ in range(knobs.steps):
            if told(model, forget) <= knobs.stop:
                break
            chosen = draw.sample(range(len(forget)), min(knobs.batch, len(forget)))
            total = loss(model, [forget[i] for i in chosen], chosen)
            if knobs.retain:
                total = total + knobs.retain * answer_loss(model, draw.choices(keep, k=knobs.batch)).mean()
            gradients = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
            for weight, gradient in zip(weights.values(), gradients, strict=True):
                weight.grad = gradient
            torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
            optimiser.step()
        for weight in weights.values():
            weight.grad = None
    return recording.change


def told(model: Any, examples: Sequence[Encoded]) -> float:
    """Return the share of the tokens of answers that a model would say next, each after the true ones before it."""
    tokens = [right for answer in said(examples, model) for right in answer]
    return fmean(tokens or [0])


def encode_all(tokenizer: Any, examples: Sequence[Example]) -> list[Encoded]:
    """Return examples as tokens."""
    return [encode(tokenizer, example) for example in examples]
