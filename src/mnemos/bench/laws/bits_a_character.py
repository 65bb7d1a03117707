"""Compression is intelligence (arXiv 2404.09937): the bits a character that a model needs for new text, against its scores.

Models of five sizes are asked at three ages, and rounded or pruned: 35 models. Their score is the mean of four tasks: what they
know of people in each of three wordings, and which of two values they find likelier. The paper has 31 models of up to 70 B
parameters and 12 benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import correlation
from typing import Any

from mnemos.bench.laws import population
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("2404.09937",)
WIDTHS = (12, 16, 24, 32, 40)
TASKS = ("known", "reworded", "reworded again", "chosen")
CHANGES = ("4 bits", "3 bits", "20% pruned", "40% pruned")


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    found: dict[str, Any] = {"models": {}}
    for width in WIDTHS:
        grown = population.grown(width, seed)
        models = {f"{age:.0%} of the training": model for age, model in grown.states.items()}
        models |= {change: _changed(grown.model, change) for change in CHANGES}
        for name, model in models.items():
            scores = [population.known(model, seed, template) for template in range(3)]
            row = dict(zip(TASKS, [*scores, population.chosen(model, seed)], strict=True))
            found["models"][f"width {width}, {name}"] = {"bits": population.bits_a_character(model, seed), **row}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    rows = figures["models"]
    seeds = range(len(next(iter(rows.values()))["bits"]))
    bits = [[row["bits"][i] for row in rows.values()] for i in seeds]
    each = {task: [correlation(bits[i], [row[task][i] for row in rows.values()]) for i in seeds] for task in TASKS}
    average = [correlation(bits[i], [_average(row, i) for row in rows.values()]) for i in seeds]
    kinds = {
        "sizes and ages": [name for name in rows if "training" in name],
        "rounded and pruned": [name for name in rows if "training" not in name],
    }
    within = {
        kind: [correlation([rows[n]["bits"][i] for n in names], [_average(rows[n], i) for n in names]) for i in seeds]
        for kind, names in kinds.items()
    }
    claims = [
        Claim(
            "the average score is a line in the bits a character (correlation of .9 or more)",
            verdict(max(average) <= -0.9, mean(average) <= -0.9),
            f"correlation over {len(rows)} models: {said(average, 3)}",
        ),
        Claim(
            "so is the score of each task, less closely",
            verdict(max(mean(of) for of in each.values()) <= -0.8),
            f"correlation: {listed(each, 3)}",
        ),
        Claim(
            "whether bits were lost to size and age or to compression does not matter",
            verdict(max(mean(of) for of in within.values()) <= -0.9, max(mean(of) for of in within.values()) <= -0.8),
            f"correlation: {listed(within, 3)}",
        ),
    ]
    points = {
        kind: {rows[name]["bits"][i]: [_average(rows[name], i)] for name in names for i in seeds}
        for kind, names in kinds.items()
    }
    everything = dict(sorted({x: y for of in points.values() for x, y in of.items()}.items()))
    law = fit("line", everything, "average score", "all models")
    means = (
        "One number without a benchmark says what any operation on a model did to it: `general_loss` before and after; "
        f"each tenth of a bit a character costs about {-10 * law.value('slope'):.0f} points of what is known."
    )
    panel = Panel("average score", "bits a character of new text", "average score", {"all models": everything})
    return reported(claims, [panel], [law], means)


def _average(row: Mapping[str, Any], seed: int) -> float:
    return mean([row[task][seed] for task in TASKS])


def _changed(model: Any, change: str) -> Any:
    amount, how = change.split()
    return population.rounded(model, int(amount)) if how == "bits" else population.pruned(model, int(amount[:-1]) / 100)
