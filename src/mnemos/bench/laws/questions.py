"""Questions about facts: what a model says after a prompt, and how likely it finds each of the answers that are offered."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mnemos.bench.laws.language import coded, rows
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import Fact


class Answered(NamedTuple):
    """What a model answers to N questions of C answers each; the right answer is the first."""

    said: Tensor  # (N,) whether a greedy model says the right answer
    likely: Tensor  # (N, C) log-probability of each answer

    @property
    def recalled(self) -> float:
        """The share of right answers that are said."""
        return float(self.said.float().mean())

    @property
    def chosen(self) -> float:
        """The share of right answers that are the likeliest of those offered."""
        return float((self.likely.argmax(1) == 0).float().mean())


def new_fact(rng: random.Random) -> Fact:
    """Return a fact about a person who is in no other text."""
    return Fact(name(rng, 3), rng.choice(("home", "work", "dish", "pet")), name(rng, 2), 0, 0)


def offered(facts: Sequence[Fact], rng: random.Random, choices: int = 4) -> list[list[str]]:
    """Return answers to each fact: its value, and random ones."""
    return [[fact.value, *(name(rng, 2) for _ in range(choices - 1))] for fact in facts]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def ask(model: Any, facts: Sequence[Fact], answers: Sequence[Sequence[str]], template: int = 0) -> Answered:
    """Ask for facts in the words of a template; each has as many answers, the right one first."""
    ids = rows([f"{fact.prompt(template)} {value}" for fact, of in zip(facts, answers, strict=True) for value in of])
    choices = len(answers[0])
    begun = torch.tensor([len(coded(fact.prompt(template))) for fact in facts for _ in range(choices)])
    counted = (torch.arange(1, ids.shape[1]) >= begun[:, None]) & (ids[:, 1:] != 0)
    logits = model(ids, use_cache=False).logits[:, :-1]
    right = ((logits.argmax(-1) == ids[:, 1:]) | ~counted).all(1)
    likely = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0] * counted
    return Answered(right.view(-1, choices)[:, 0], likely.sum(1).view(-1, choices))
