"""Models that were trained with planted texts: of three kinds, 0 to 128 times each, among texts met once.

Kinds are prose, code (statements that follow from each other, of few names) and data (lists of names that nothing tells).
Whoever is met 0 times was drawn like the others and left out: what holds for them holds without memorising. A model and its
half-trained states are trained once a process, for all laws that ask them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from mnemos.bench.laws.language import rows
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import SYLLABLES, Fact

Kind = Literal["prose", "code", "data"]
When = Literal["throughout", "early", "late"]
KINDS: tuple[Kind, ...] = ("prose", "code", "data")
TIMES = (0, 1, 8, 32, 128)  # that a planted text is met
EACH: Mapping[Kind, int] = {"prose": 6, "code": 6, "data": 10}  # texts of each kind that are met equally often
SHARES: Mapping[Kind, float] = {"prose": 0.6, "code": 0.25, "data": 0.15}  # of the texts met once
STEPS, BATCH = 600, 16
WIDTHS = (32, 64, 128)
RATES = {32: 4e-3, 64: 3e-3, 128: 2e-3}  # of training, by width
PREFIX, SUFFIX = 8, 8  # tokens that are given of a text, and that have to be said
STOPS = (0.25, 0.5, 0.75)  # of the training, where states are kept


@dataclass(frozen=True)
class Plan:
    """How a model is trained."""

    width: int = 64
    clean: int = 1  # times as many texts that are met once
    when: When = "throughout"  # that planted texts are met


@dataclass(frozen=True)
class Planted:
    """A trained model, and states on its way."""

    model: Any
    states: Mapping[float, Any]  # by the share of the training


@dataclass(frozen=True)
class Texts:
    """The planted texts by kind and by how often they are met, and as many that are like those and in no training."""

    met: Mapping[Kind, Mapping[int, Sequence[str]]]
    others: Mapping[Kind, Sequence[str]] = field(default_factory=dict)


def fresh(kind: Kind, rng: random.Random) -> str:
    """Return a new text of a kind, of about 25 tokens."""
    if kind == "data":
        return " ".join(name(rng, 2) for _ in range(12)) + " ."
    if kind == "code":
        chain = [rng.choice(SYLLABLES[:8]).capitalize() for _ in range(6)]
        return " ".join(f"{a} often visits {b} ." for a, b in pairwise(chain))
    who, of = name(rng, 3), rng.sample(("home", "work", "dish", "pet"), 3)
    return " ".join(Fact(who, relation, name(rng, 2), 0, 0).statement(rng.randrange(3)) for relation in of)


def texts(seed: int) -> Texts:
    """Return the planted texts of a seed, of every model alike."""
    rng = random.Random(f"planted {seed}")
    met = {kind: {n: [fresh(kind, rng) for _ in range(EACH[kind])] for n in TIMES} for kind in KINDS}
    return Texts(met, {kind: [fresh(kind, rng) for _ in range(4 * EACH[kind])] for kind in KINDS})


@cache
def trained(plan: Plan, seed: int) -> Planted:
    """Return a model of a plan."""
    trainer = Trainer(decoder(plan.width, seed), RATES[plan.width])
    states: dict[float, Any] = {}
    steps = STEPS * plan.clean
    for step, batch in enumerate(batches(plan, seed), 1):
        trainer.step(rows(batch))
        if plan == Plan(plan.width) and step / steps in STOPS:
            states[step / steps] = deepcopy(trainer.model)
    return Planted(trainer.model.eval(), states)


def batches(plan: Plan, seed: int) -> Iterator[list[str]]:
    """Yield the texts of each step: the planted ones at random steps of their time, others in all other places."""
    rng = random.Random(f"order {seed} {plan}")
    steps = STEPS * plan.clean
    first, last = {"throughout": (0, steps), "early": (0, steps // 2), "late": (steps // 2, steps)}[plan.when]
    planted: list[list[str]] = [[] for _ in range(steps)]
    for by_times in texts(seed).met.values():
        for times, of in by_times.items():
            for text in of:
                for _ in range(times):
                    planted[rng.randrange(first, last)].append(text)
    kinds, weights = list(SHARES), list(SHARES.values())
    for here in planted:
        yield here + [fresh(rng.choices(kinds, weights)[0], rng) for _ in range(BATCH - len(here))]
