"""Fit the closer look: whether one of the first hits answers, or is only near (`mnemos.text.recall.closer`).

    python -m benchmarks.fit.closer --locomo locomo10.json --root spaces

The development half of LoCoMo and what people wrote for `mnemos bench silence`, with and without an answer, as in
`benchmarks.fit.asked`; and each of the hands' questions that has an answer once more where that was never told. Only searches
whose first hits are short. Logistic regression with an L2 penalty of 1. First each set is left out, then a fifth, and what would
be silenced below `silent`, or not be answerable, is printed. Then all are fitted. `silent` is the largest probability below which
at most `MAY_LOSE` of the answered questions of LoCoMo, and of the hands, are, by models that were fitted without a fifth of it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.fit.asked import K, Plan, gold_of, plans
from benchmarks.fit.topic import area, fit
from mnemos.embed.minilm import MiniLM
from mnemos.system import Mnemos
from mnemos.text.recall.closer import FEATURES, FIRST, features, worth_it
from mnemos.text.recall.relevance import ANSWERABLE
from mnemos.text.recall.topic import Floats
from mnemos.text.search import search

OUT = Path("src/mnemos/text/recall/closer.json")
MAY_LOSE, FOLDS = 0.01, 5


@dataclass(frozen=True, slots=True)
class Look:
    """A search: its set, the part of it, its features, and whether it was told and found; None where only told."""

    set: str
    part: int
    features: Floats
    answered: bool | None
    looked: bool  # whether a closer look may change what is shown
    hidden: bool  # whether what answers was taken away


def looks(memory: Mnemos, plan: Plan, part: int, model: MiniLM) -> Iterator[Look]:
    """Yield the searches of a plan that are looked at closer."""
    space = memory.space(f"{plan.set} {plan.haystack.name}")
    if not space.count():
        space.add_many(plan.haystack.messages)
    name = f"hand {plan.haystack.name.split()[0]}" if plan.set == "hands" else plan.set
    for kind, questions in plan.questions.items():
        for question in questions:
            found = search(space.text, question.text, K, question.filters, question.asked_at, "hybrid")
            texts = [hit.cube.text for _, hit in found.hits[:FIRST]]
            if len(found.evidence) and worth_it(0.0, texts):
                gold = set(gold_of(question)) if kind == "told" else set()
                right = any(cube.id in gold for _, hit in found.hits for cube in (hit.cube, *hit.also))
                row = features(question.text, texts, found.confidence, found.evidence, model)
                looked = worth_it(found.confidence, texts)
                answered = None if kind == "told" and not right else right
                yield Look(name, part % FOLDS, row, answered, looked, kind == "hidden")


def without_answers(plan: Plan) -> Iterator[Plan]:
    """Yield, for each question of a hand that has an answer, its memory without that answer."""
    if plan.set != "hands":
        return
    for number, question in enumerate(plan.questions["told"]):
        gold = set(gold_of(question))
        rest = [message for message in plan.haystack.messages if message["id"] not in gold]
        haystack = replace(plan.haystack, name=f"{plan.haystack.name} without {number}", messages=rest)
        yield Plan(plan.set, haystack, {"hidden": [question]})


def fitted(of: Sequence[Look]) -> tuple[Floats, float]:
    """Return the weights; a set counts by the root of its searches, and those with and without an answer alike."""
    counts = Counter((look.set, look.answered) for look in of)
    weight = np.array([counts[look.set, look.answered] ** -0.5 for look in of])
    return fit(
        np.stack([look.features for look in of]),
        np.array([float(bool(look.answered)) for look in of]),
        weight / weight.mean(),
    )


def judged(of: Sequence[Look], model: tuple[Floats, float]) -> Floats:
    """Return the probability of each search, 1 where nobody looks closer."""
    found = 1 / (1 + np.exp(-(np.stack([look.features for look in of]) @ model[0] + model[1])))
    return np.where([look.looked for look in of], found, 1.0)


def main() -> None:
    """Fit and write the weights."""
    parser = argparse.ArgumentParser(description="Fit whether one of the first hits answers.")
    parser.add_argument("--locomo", type=Path, required=True, help="locomo10.json")
    parser.add_argument("--root", type=Path, required=True, help="where the spaces are kept")
    given, model = parser.parse_args(), MiniLM()
    with Mnemos(given.root, timezone="UTC") as memory:
        made = enumerate(plans({"locomo": given.locomo}))
        found = [
            look
            for part, plan in made
            for each in (plan, *without_answers(plan))
            for look in looks(memory, each, part, model)
        ]
    told = [look for look in found if look.answered is not None]
    within = np.zeros(len(told))
    for fold in range(FOLDS):
        mine = np.array([look.part == fold for look in told])
        rest = fitted([look for look, out in zip(told, mine, strict=True) if not out])
        within[mine] = judged([look for look, out in zip(told, mine, strict=True) if out], rest)
    sets = sorted({look.set for look in told})
    answered = {name: np.array([bool(look.answered) and look.set == name for look in told]) for name in sets}
    groups = [answered["locomo"], sum(answered[name] for name in sets if name != "locomo") > 0]
    silent = min(float(np.quantile(within[has], MAY_LOSE)) for has in groups)
    for name in sets:
        out, has = np.array([look.set == name and not look.hidden for look in told]), answered[name]
        alone = judged(
            [look for look, is_out in zip(told, out, strict=True) if is_out],
            fitted([look for look in told if look.set != name]),
        )
        right = has[out]
        parts = (("set", alone[~right], alone[right]), ("a fifth", within[out & ~has], within[has]))
        limits = (("silent", silent), ("not answerable", ANSWERABLE))
        shares = [
            f"{word}, {what} left out: {(nothing < limit).mean():.2f} of those without an answer, "
            f"{(some < limit).mean():.3f} with one"
            for what, nothing, some in parts
            for word, limit in limits
        ]
        print(f"{name}: {out.sum()} searches, area {area(right.astype(float), alone):.3f}; {'; '.join(shares)}")
    weights, bias = fitted(told)
    named = {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)}
    OUT.write_text(
        json.dumps({"weights": named, "bias": round(bias, 4), "silent": round(silent, 3)}, indent=1) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
