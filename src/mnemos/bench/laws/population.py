"""Models of several sizes that read about one world, at several ages, rounded and pruned: densities and scores are theirs.

People are written about by Zipf's law, so that a larger model knows more of them, smoothly. A statement is drawn by its fact
and its template, so that the entropy of the texts is known exactly: no model's loss can be below it. A model is trained once a
process, for all laws that ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from math import log
from typing import Any

import torch

from mnemos.bench.laws.language import coded, rows
from mnemos.bench.laws.questions import ask
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric.facts import Fact, World, make_world
from mnemos.bench.parametric.small_models import loss_of
from mnemos.parametric.compress.rounding import RoundToNearest

PEOPLE, VALUES, ZIPF = 400, 64, 1.0
STEPS, BATCH, RATE = 1000, 48, 5e-3
AGES = (0.4, 0.7, 1.0)  # of the training, where states are kept; younger ones know nothing yet
ASKED = 2048  # facts and texts that are asked for, drawn as they are written about


@dataclass(frozen=True)
class Grown:
    """A trained model, and states on its way, by the share of the training."""

    model: Any
    states: Mapping[float, Any]


@cache
def world(seed: int) -> World:
    """Return the world of a seed."""
    return make_world(PEOPLE, values=VALUES, zipf=ZIPF, seed=seed)


@cache
def grown(width: int, seed: int) -> Grown:
    """Return a model of a width that has read about the world of a seed."""
    about = world(seed)
    trainer = Trainer(decoder(width, seed), RATE)
    states: dict[float, Any] = {}
    for step in range(1, STEPS + 1):
        trainer.rate = RATE * min(1.0, 2 * (1 - (step - 1) / STEPS))
        trainer.step(rows(about.sentences(BATCH, seed * 1_000_003 + step)))
        if step / STEPS in AGES:
            states[step / STEPS] = deepcopy(trainer.model)
    return Grown(trainer.model.eval(), states)


@dataclass(frozen=True, slots=True)
class Held:
    """Texts that are not in the training's order, and facts that are asked for."""

    texts: tuple[str, ...]
    facts: tuple[Fact, ...]
    wrong: tuple[str, ...]  # a value that each fact does not have


@cache
def held(seed: int) -> Held:
    """Return what the models of a seed are asked."""
    about = world(seed)
    facts = tuple(about.sample(ASKED, seed + 1))
    return Held(tuple(about.sentences(ASKED, -1 - seed)), facts, tuple(about.other_value(fact, seed) for fact in facts))


def entropy(seed: int) -> float:
    """Return the entropy of a text in nats a token, at whose end nothing is asked."""
    about = world(seed)
    weights = [1 / (fact.rank + 1) ** ZIPF for fact in about.facts]
    total = sum(weights)
    drawn = sum(weight / total * log(total / weight) for weight in weights) + log(3)
    tokens = sum(
        weight / total * sum(len(coded(fact.statement(t))) - 1 for t in range(3)) / 3
        for fact, weight in zip(about.facts, weights, strict=True)
    )
    return float(drawn / tokens)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def loss(model: Any, seed: int) -> float:
    """Return the loss of new texts in nats a token."""
    return float(loss_of(model, rows(held(seed).texts)))


def bits_a_character(model: Any, seed: int) -> float:
    """Return the bits a character of new texts that a model needs."""
    texts = held(seed).texts
    tokens = sum(len(coded(text)) - 1 for text in texts)
    return float(loss(model, seed) / log(2) * tokens / sum(map(len, texts)))


def known(model: Any, seed: int, template: int) -> float:
    """Return the share of facts whose value a greedy model says after a template."""
    facts = held(seed).facts
    found: float = ask(model, facts, [[fact.value] for fact in facts], template).recalled
    return found


def chosen(model: Any, seed: int) -> float:
    """Return the share of facts whose value is likelier than another value of its relation."""
    asked = held(seed)
    pairs = [[fact.value, wrong] for fact, wrong in zip(asked.facts, asked.wrong, strict=True)]
    found: float = ask(model, asked.facts, pairs).chosen
    return found


def rounded(model: Any, bits: int) -> Any:
    """Return a copy of a model whose matrices are rounded to a number of bits."""
    made, rounding = deepcopy(model), RoundToNearest(bits=bits)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight.copy_(rounding.compress(weight).decompress())
    return made


def pruned(model: Any, share: float) -> Any:
    """Return a copy of a model in which this share of each matrix's least weights is 0."""
    made = deepcopy(model)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight[weight.abs() < weight.abs().flatten().quantile(share)] = 0.0
    return made
