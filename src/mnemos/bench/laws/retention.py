"""Retentive or forgetful (arXiv 2305.09144): batches of facts that are learned one after another, and what is left of each.

A model that knows the facts of a world and one that knows nothing learn six batches of facts about other people; after each they
are asked for all. A batch is stated in the same words again and again, or in three wordings by turns; its people are new, or
(related) those of the first batch, of whom other things are told. The paper teaches BERT; its untrained models forget almost all.
Facts of a batch are few, so that several rows of batches are learned; wordings are compared by what is right in any wording and
relatedness by what is right in the words that were met, each in the mean over the batches since: five batches later little is
left of anything, and what is worse or better is no longer seen. These measures were fixed on seed 100.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mnemos.bench.laws import population
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import rows
from mnemos.bench.laws.questions import ask
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import RELATIONS, Fact
from mnemos.parametric.retention import Retention, half_life

PAPERS = ("2305.09144",)
WIDTH = 48  # of the model
BATCHES, EACH = 6, 16  # of facts, and facts of one
ROWS, RATE = 16, 1e-3  # of learning a batch: statements of a step
MOST, EVERY, LEARNED = 200, 10, 0.95  # a batch is learned until so much is recalled, which is asked every so many steps
CHOICES = 4  # values that a question offers
WORDINGS = 3  # templates of a relation
CONDITIONS = {"untrained": 1, "same words": 3, "other words": 3, "related": 3}  # rows of batches that are learned


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    read = population.grown(WIDTH, seed).model
    found: dict[str, Any] = {what: {} for what in ("recalled", "chosen", "in any words")}
    for condition, count in CONDITIONS.items():
        curves = [_curves(condition, read, f"{seed} {row}", seed) for row in range(count)]
        for what in found:
            by_batch = zip(*(curve[what] for curve in curves), strict=True)
            found[what][condition] = {str(later): mean(shares) for later, shares in enumerate(by_batch)}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    recalled, chosen, any_words = (
        {of: {int(n): v for n, v in row.items()} for of, row in figures[what].items()}
        for what in ("recalled", "chosen", "in any words")
    )
    seeds = range(len(chosen["same words"][0]))
    last = {of: chosen[of][BATCHES - 1] for of in ("untrained", "same words")}
    kept = {of: mean(values) for of, values in last.items()}
    first = {of: row[0] for of, row in recalled.items()}
    told = {of: _since(any_words[of]) for of in ("same words", "other words")}
    about = {of: _since(chosen[of]) for of in ("same words", "related")}
    varied = mean(told["other words"]) - mean(told["same words"])
    harmed = mean(about["same words"]) - mean(about["related"])
    claims = [
        Claim(
            "a model that was trained on other facts before forgets less than one that was not",
            verdict(kept["same words"] > kept["untrained"] + 0.15, kept["same words"] > kept["untrained"] + 0.05),
            f"right of {CHOICES} values, {BATCHES - 1} batches later: {listed(last)}; recalled at once: {listed(first)}",
        ),
        Claim(
            "facts stated in several wordings are kept better than facts in the same words",
            verdict(varied > 0.05, varied > 0),
            f"right in any wording, mean over the batches since: {listed(told)}",
        ),
        Claim(
            "related facts interfere: they are kept worse than facts about new people",
            verdict(harmed > 0.05, harmed > 0),
            f"right in the words that were met, mean over the batches since: {listed(about)}",
        ),
    ]  # fmt: skip
    panels = [
        Panel("right of 4 values", "batches since", "share", chosen),
        Panel("right of 4, any wording", "batches since", "share", any_words),
    ]
    law = fit("line", chosen["same words"], panels[0].title, "same words")
    halves = {
        of: [half_life([row[n][i] - 1 / CHOICES for n in sorted(row)]) for i in seeds] for of, row in chosen.items()
    }
    means = (
        "Batches that weights learn one after another fade, in batches to the half: "
        + ", ".join(f"{of} {mean(values):.1f}" for of, values in halves.items())
        + " (`retention.half_life`): rehearse before that, and teach a model that knows other facts."
    )
    return reported(claims, panels, [law], means)


def _since(row: Mapping[int, Sequence[float]]) -> list[float]:
    """Return the mean over the batches that came after, by seed."""
    return [mean(of) for of in zip(*(row[n] for n in range(1, BATCHES)), strict=True)]


def _curves(condition: str, read: Any, name: str, seed: int) -> dict[str, Sequence[float]]:
    """Learn a row of batches, and return what is right of a batch by how many came after it, asked in several ways."""
    rng = random.Random(f"retention {name}")
    batches = _batches(rng, related=condition == "related")
    answers = [_offered(batch, rng) for batch in batches]
    model = decoder(WIDTH, seed) if condition == "untrained" else deepcopy(read)
    tables: dict[str, list[tuple[float, ...]]] = {"recalled": [], "chosen": [], "in any words": []}
    for at, batch in enumerate(batches):
        _learn(model, batch, rng, wordings=WORDINGS if condition == "other words" else 1)
        before = list(zip(batches, answers, strict=True))[: at + 1]
        asked = [[ask(model, *of, template=t) for t in range(WORDINGS)] for of in before]
        tables["recalled"].append(tuple(each[0].recalled for each in asked))
        tables["chosen"].append(tuple(each[0].chosen for each in asked))
        tables["in any words"].append(tuple(mean([one.chosen for one in each]) for each in asked))
    return {what: Retention(tuple(table)).curve for what, table in tables.items()}


def _batches(rng: random.Random, related: bool) -> list[list[Fact]]:
    """Return batches of facts: each of new people, or all of the same people."""
    relations = list(RELATIONS)
    people = [name(rng, 3) for _ in range(EACH)]
    return [
        [
            Fact(
                who if related else name(rng, 3),
                relations[at] if related else rng.choice(relations),
                name(rng, 2),
                0,
                0,
            )
            for who in people
        ]
        for at in range(BATCHES)
    ]


def _offered(batch: Sequence[Fact], rng: random.Random) -> list[list[str]]:
    """Return the value of each fact and those of others of its batch: all were met as often."""
    values = [fact.value for fact in batch]
    return [[fact.value, *rng.sample([v for v in values if v != fact.value], CHOICES - 1)] for fact in batch]


def _learn(model: Any, facts: Sequence[Fact], rng: random.Random, wordings: int) -> None:
    """Train a model on statements of facts until it recalls them in each wording."""
    trainer, own = Trainer(model, RATE), [[fact.value] for fact in facts]
    for step in range(1, MOST + 1):
        trainer.step(rows([fact.statement(rng.randrange(wordings)) for fact in rng.sample(facts, ROWS)]))
        if step % EVERY == 0 and min(ask(model, facts, own, t).recalled for t in range(wordings)) >= LEARNED:
            return
