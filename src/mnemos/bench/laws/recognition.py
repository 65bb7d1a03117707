"""Recognition, recall and retention of what was read a few times (arXiv 2303.17557).

A model that knows a world of facts by heart studies sentences about new people, or strings of random words, a few times over, all
of them in a step; it is asked after each exposure, and again while it goes on reading about its world. A model that had read
only texts met once (as here before) has not learned to keep facts, and needs twenty exposures for what this one keeps of three.
Kinds are compared by the share that is left of what was there above chance, while something of recall is left. Settings were
chosen on seed 100, and bars written before seeds 6, 7 and 8, which are stored: those of former runs were put right after a look.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from mnemos.bench.laws import population
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.language import rows, string
from mnemos.bench.laws.trainer import WARM_UP, Trainer
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import Fact, World, make_tokenizer
from mnemos.parametric.recognition import recall, recognition

PAPERS = ("2303.17557",)
MEANS = (
    "what was read a few times is recognised long before it can be said: ask weights with "
    "`parametric.recognition.recognition` before `recall` calls a text lost, and leave words to the text form."
)

ITEMS, BATCH = 16, 16  # texts that are studied, all of them in a step; texts of a step of reading
WIDTH, RATE = 48, 1e-2  # of the model; of study and of what is read later
WORDS = 8  # of a random string, whose tokens are about as many as those of a sentence
CUE = 0.7  # share of a text that is given to recall the rest: a value, and the full stop
EXPOSURES = (0, 1, 2, 3, 5, 8)
LATER = (0, 3, 10, 30, 100, 200)  # steps of other texts after the last exposure
SOON, LATE = 10, 30  # of them, where recall of kinds is compared, and recall with recognition
LATER_TEXTS = 10**9  # seed of the first of these texts: none that the model has read
TOKENIZER = make_tokenizer()


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    start, world = population.grown(WIDTH, seed).model, population.world(seed)
    rng = random.Random(f"recognition {seed}")
    facts, others = ([_fact(world, rng) for _ in range(ITEMS)] for _ in range(2))
    sentences, foils = ([fact.statement() for fact in of] for of in (facts, others))
    near = [replace(fact, value=world.other_value(fact, seed)).statement() for fact in facts]
    kinds = {
        "sentences": (sentences, foils),
        "near duplicates": (sentences, near),
        "random strings": ([string(rng, WORDS) for _ in range(ITEMS)], [string(rng, WORDS) for _ in range(ITEMS)]),
    }
    found: dict[str, Any] = {"never learned": recall(start, TOKENIZER, foils, CUE).value}
    for of, names in (("sentences", ("sentences", "near duplicates")), ("random strings", ("random strings",))):
        asked = {name: kinds[name] for name in names}
        found |= _study(deepcopy(start), kinds[of][0], asked, world, seed)
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    text, near, noise = (figures[name] for name in ("sentences", "near duplicates", "random strings"))
    met = {name: _numbers(figures[name]["exposed"], "recognition") for name in ("sentences", "near duplicates")}
    recalled = _numbers(text["exposed"], "recall")
    known, said_again = _numbers(text["later"], "recognition"), _numbers(text["later"], "recall")
    first, rest = _fall(said_again, 0, 10) / 10, _fall(said_again, 10, LATER[-1]) / (LATER[-1] - 10)
    kept = {
        name: _share(row["later"], "recall", SOON) for name, row in (("sentences", text), ("random strings", noise))
    }
    left = {what: _share(text["later"], what, LATE, chance) for what, chance in (("recognition", 0.5), ("recall", 0.0))}
    lost = _fall(said_again, 0, LATER[-1])
    claims = [
        Claim(
            "after one exposure almost every text is recognised",
            verdict(mean(met["sentences"][1]) >= 0.95, mean(met["sentences"][1]) >= 0.75),
            f"beside others, by exposures: {listed(met['sentences'])}; beside near duplicates: {listed(met['near duplicates'])}",
        ),
        Claim(
            "after about three it is recalled almost perfectly",
            verdict(mean(recalled[3]) >= 0.9, mean(recalled[EXPOSURES[-1]]) >= 0.9),
            f"the value said, by exposures: {listed(recalled)} (not learned: {said(figures['never learned'])})",
        ),
        Claim(
            "recall falls steeply within the first ten updates on other text, and slowly afterwards",
            verdict(_fall(said_again, 0, 10) > 0.5 * max(lost, 0.02), first > 3 * max(rest, 0.0) and first > 0.01),
            f"recall by updates: {listed(said_again)}",
        ),
        Claim(
            "recognition falls much less than recall",
            verdict(
                mean(left["recognition"]) > 2 * mean(left["recall"]) + 0.1,
                mean(left["recognition"]) > mean(left["recall"]),
            ),
            f"recognition by updates: {listed(known)}; left above chance after {LATE} updates: {listed(left)}",
        ),
        Claim(
            "sentences are retained better than random strings",
            verdict(
                mean(kept["sentences"]) > mean(kept["random strings"]) + 0.1,
                mean(kept["sentences"]) > mean(kept["random strings"]),
            ),
            f"share of recall left after {SOON} updates: {listed(kept)}; random strings were recalled by "
            f"{said(_numbers(noise['later'], 'recall')[0])} before",
        ),
    ]
    panels = [
        Panel(title, x, "share", {
            f"{what}, {name}": _numbers(row[when], what)
            for name, row in (("sentences", text), ("near duplicates", near), ("random strings", noise))
            for what in (("recognition",) if name == "near duplicates" else ("recognition", "recall"))
        }, log=when == "later")
        for title, x, when in (("study", "exposures", "exposed"), ("retention", "updates on other texts", "later"))
    ]  # fmt: skip
    return reported(claims, panels, means=MEANS)


def _fact(world: World, rng: random.Random) -> Fact:
    """Return a fact about somebody new."""
    relation = rng.choice(list(world.values))
    return Fact(name(rng, 3), relation, rng.choice(world.values[relation]), 0, 0)


def _study(model: Any, texts: Sequence[str], asked: Mapping[str, Any], world: World, seed: int) -> dict[str, Any]:
    """Let a model study texts and then read about its world; return what it knows at each time, by kind of foil."""
    trainer = Trainer(model, RATE)
    trainer.steps = WARM_UP  # the rate does not rise: the first exposure weighs as much as a later one
    found: dict[str, Any] = {kind: {"exposed": {}, "later": {}} for kind in asked}

    def ask(when: str, at: int) -> None:
        for kind, (own, foils) in asked.items():
            known = recognition(model, TOKENIZER, list(zip(own, foils, strict=True))).value
            found[kind][when][str(at)] = {"recognition": known, "recall": recall(model, TOKENIZER, own, CUE).value}

    for exposure in range(EXPOSURES[-1] + 1):
        if exposure in EXPOSURES:
            ask("exposed", exposure)
        if exposure < EXPOSURES[-1]:
            trainer.step(rows(texts))
    for step in range(LATER[-1] + 1):
        if step in LATER:
            ask("later", step)
        trainer.step(rows(world.sentences(BATCH, LATER_TEXTS + seed * LATER[-1] + step)))
    return found


def _numbers(rows: Mapping[str, Any], what: str) -> dict[float, list[float]]:
    return {int(at): row[what] for at, row in rows.items()}


def _fall(values: Mapping[float, Sequence[float]], a: int, b: int) -> float:
    return mean(values[a]) - mean(values[b])


def _share(rows: Mapping[str, Any], what: str, later: int, chance: float = 0.0) -> list[float]:
    """Return the share that is left after some steps of what was there at first above chance, by seed; 0 where nothing was."""
    first, last = rows[str(LATER[0])][what], rows[str(later)][what]
    return [max(b - chance, 0.0) / (a - chance) if a > chance else 0.0 for a, b in zip(first, last, strict=True)]
