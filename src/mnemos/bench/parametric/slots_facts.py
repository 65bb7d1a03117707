"""New facts beside a frozen model, in slots and in LoRA: a part of `mnemos bench slots`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from mnemos.bench.parametric.facts import Fact, make_world
from mnemos.bench.parametric.small_models import Shape, Texts, make_model, recalled, statements, train
from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.parametric.base import Carrier, Learned
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.recall.memory_slots import MemorySlots
from mnemos.parametric.training import Objective, Training
from mnemos.parametric.training import train as learn

OLD, NEW = 30, 8  # people, with two facts each
STEPS = 250  # of the model, until it knows the old facts
MOST = 120  # steps of what is beside it
SLOTS = MemorySlots(background=32)
WAYS: dict[str, tuple[Carrier, float]] = {  # carrier, and rate of Adam
    "memory slots": (SLOTS, 0.1),
    "LoRA": (Adapter(rank=4), 1e-2),
}


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Return what each way learned, and what it lost elsewhere."""
    texts = Texts()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name, row in kept(options.cells, f"facts {seed}", partial(of_seed, texts, seed)).items():
            found.setdefault(name, []).append(row)
    return {name: over_seeds(rows, ("bytes_a_fact",)) for name, rows in found.items()}


def of_seed(texts: Texts, seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of one model by the way that it was taught."""
    old = make_world(OLD, ("home", "work"), seed=2 * seed)
    new = make_world(NEW, ("home", "work"), seed=2 * seed + 1)
    model = make_model(Shape(), seed)
    train(model, statements(old, texts, 32, seed), STEPS)
    model.requires_grad_(False)
    rows = {
        name: one(model, carrier, rate, old.facts, new.facts, texts, seed) for name, (carrier, rate) in WAYS.items()
    }
    return rows | {"memory slots, one item a person": items(model, old.facts, new.facts, texts, seed)}


def one(
    model: Any,
    carrier: Carrier,
    rate: float,
    old: Sequence[Fact],
    new: Sequence[Fact],
    texts: Texts,
    seed: int,
) -> dict[str, float]:
    """Teach all new facts at once and return the figures."""
    learned, steps = taught(model, carrier, rate, new, texts, seed)
    before = share(model, old, texts)
    with learned.attach(model):
        known, para, after = share(model, new, texts), share(model, new, texts, 1), share(model, old, texts)
    return {
        "recalled": known, "paraphrased": para, "old_lost": before - after, "steps": steps,
        "bytes_a_fact": learned.nbytes / len(new),
    }  # fmt: skip


def taught(
    model: Any, carrier: Carrier, rate: float, facts: Sequence[Fact], texts: Texts, seed: int
) -> tuple[Learned, int]:
    """Return weights that learned facts, and in how many steps; every answer token is to have p > .5."""
    examples = [fact.example() for fact in facts]
    learned = carrier.create(model, examples, texts.tokenizer, seed)
    objective = Objective(distil=0.0, silent=0.0)  # the answers alone: what each carrier disturbs by itself
    training = Training(steps=MOST, rate=rate, batch=len(facts), seed=seed, objective=objective)
    return learned, learn(model, texts.tokenizer, learned, examples, training).steps


def items(model: Any, old: Sequence[Fact], new: Sequence[Fact], texts: Texts, seed: int) -> dict[str, float]:
    """Teach each person's facts to slots of their own, one after the other; then remove one person."""
    before = share(model, old, texts)
    people = [new[i : i + 2] for i in range(0, len(new), 2)]
    kept: list[Learned] = []
    steps = 0
    for facts in people:
        with ExitStack() as stack:
            for each in kept:
                stack.enter_context(each.attach(model))
            learned, took = taught(model, SLOTS, 0.1, facts, texts, seed)
        kept.append(learned)
        steps += took
    gone = seed % len(people)
    answers = {}
    for name, without in (("all", None), ("one gone", gone)):
        with ExitStack() as stack:
            for i, each in enumerate(kept):
                if i != without:
                    stack.enter_context(each.attach(model))
            answers[name] = recalled(model, new, texts).double()
            if without is None:
                para, after = share(model, new, texts, 1), share(model, old, texts)
    others = torch.ones(len(new), dtype=torch.bool)
    others[2 * gone : 2 * gone + 2] = False
    return {
        "recalled": float(answers["all"].mean()), "paraphrased": para, "old_lost": before - after, "steps": steps,
        "bytes_a_fact": sum(each.nbytes for each in kept) / len(new),
        "removed_still_answers": float(answers["one gone"][~others].mean()),
        "others_that_changed": float((answers["one gone"] != answers["all"])[others].double().mean()),
    }  # fmt: skip


def share(model: Any, facts: Sequence[Fact], texts: Texts, template: int = 0) -> float:
    """Return the share of facts that are known."""
    return float(recalled(model, facts, texts, template).double().mean())
