"""One document into weights, by carriers, budgets and recipes: what is known afterwards, and what else fell."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from mnemos.bench.parametric import tiny
from mnemos.parametric import measure
from mnemos.parametric.base import Carrier, Example
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.encode.cartridge import Cartridge
from mnemos.parametric.training import Objective, Training, train

RECIPE = Training(steps=150, rate=5e-3, batch=16, probed=16, quiet=0.05)
PLAIN = Objective(answers=1, distil=0, silent=0)  # cross-entropy on answers alone
EPISODES, TEXTS = 6, 12  # documents whose reading is measured, and general texts
TEXT_SEED, SKILL_SEED = 90_000, 80_000  # of what is measured; those of training differ


def methods() -> dict[str, tuple[Carrier, Training, bool]]:
    """Return carriers and how they are trained, by name; and whether general texts are interleaved."""
    adapter = Adapter(rank=4, alpha=8, targets=("all",))
    fast = replace(RECIPE, rate=2e-2)

    def aim(**weights: Any) -> Training:
        return replace(RECIPE, objective=replace(Objective(), **weights))

    found: dict[str, tuple[Carrier, Training, bool]] = {
        "adapter": (adapter, RECIPE, True),
        "without texts": (adapter, RECIPE, False),
        "without distillation": (adapter, aim(distil=0), True),
        "distilled, no anchor": (adapter, aim(silent=0, answers=0), False),
        "plain LoRA": (adapter, replace(RECIPE, objective=PLAIN), False),
        "cartridge, 16 tokens": (Cartridge(16), fast, True),
        "cartridge, no anchor": (Cartridge(16), replace(fast, objective=Objective(0, 1, 0)), False),
    }
    return found


def run(model: Any, tokenizer: Any, facts: int, seed: int) -> dict[str, dict[str, float]]:
    """Return the measures of all methods on one document."""
    from mnemos.bench.parametric import peft_tuners

    examples, other = tiny.document(facts, seed), texts(seed)
    found = {
        "nothing": measures(model, tokenizer, examples),
        "text in the prompt": _prompted(model, tokenizer, examples),
    }
    for name, (carrier, training, interleaved) in methods().items():
        learned = carrier.create(model, examples, tokenizer, seed)
        report = train(
            model, tokenizer, learned, examples, replace(training, seed=seed), texts=other if interleaved else ()
        )
        with learned.attach(model):
            row = measures(model, tokenizer, examples)
        row |= {
            "seconds": report.seconds,
            "steps": report.steps,
            "bytes": learned.nbytes,
            "learned": float(report.learned),
        }
        found[name] = row
    whole = Cartridge(10_000).create(model, examples, tokenizer)
    with whole.attach(model):
        found["keys and values of the text"] = measures(model, tokenizer, examples) | {"bytes": whole.nbytes}
    for name, make in peft_tuners.TUNERS.items():
        started = time.monotonic()
        made, size = make(model, tokenizer, examples, seed)
        found[name] = measures(made, tokenizer, examples) | {"seconds": time.monotonic() - started, "bytes": size}
    return found


def texts(seed: int) -> list[str]:
    """Return general texts to be interleaved."""
    return tiny.texts(16, 70_000 + seed)


def measures(model: Any, tokenizer: Any, examples: Sequence[Example]) -> dict[str, float]:
    """Return what a model knows of a document, and what is left of everything else."""
    found = {name: measure.recall(model, tokenizer, asked).value for name, asked in questions(examples).items()}
    return found | {"loss": measure.general_loss(model, tokenizer, general()).value}


def questions(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return what is asked about a document, by measure: each with all that is read in its prompt."""
    skill = [e for i in range(EPISODES) for e in tiny.document(8, SKILL_SEED + i)]

    def reading(found: Sequence[Example]) -> list[Example]:
        return [replace(e, prompt=e.context + e.prompt) for e in found]

    return {
        "recall": list(examples),
        "elsewhere": after_other_text(examples),
        "old": tiny.old_facts(),
        "in context": reading(skill),
        "context wins": reading(measure.conflicting(examples)),
    }


def general() -> list[str]:
    """Return general texts whose loss is measured."""
    return tiny.texts(TEXTS, TEXT_SEED)


def after_other_text(examples: Sequence[Example]) -> list[Example]:
    """Return examples that are asked after a text about others: the paraphrase of a language without other words."""
    answers = {e.prompt for e in examples}
    rng = random.Random(0)
    names = [name for name in tiny.TOLD if tiny.asked(name) not in answers]
    if len(names) < 4:  # all have been told of
        names = list(tiny.OTHERS)
    before = tiny.told([(name, rng.choice(tiny.PLACES)) for name in rng.sample(names, 4)])
    return [replace(e, prompt=before + e.prompt) for e in examples]


def mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of measures."""
    return {name: fmean(row[name] for row in rows) for name in rows[0]}


def _prompted(model: Any, tokenizer: Any, examples: Sequence[Example]) -> dict[str, float]:
    """Return the measures of a model that has the document in every prompt; those that are not asked are as without."""

    def told(found: Sequence[Example]) -> list[Example]:
        return [replace(e, prompt=examples[0].context + e.prompt) for e in found]

    return measures(model, tokenizer, examples) | {
        "recall": measure.recall(model, tokenizer, told(examples)).value,
        "elsewhere": measure.recall(model, tokenizer, told(after_other_text(examples))).value,
        "old": measure.recall(model, tokenizer, told(tiny.old_facts())).value,
    }
