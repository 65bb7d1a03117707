"""Forecasts of what a model will memorise (arXiv 2304.11158): from its own earlier states, and from smaller models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnemos.bench.laws import planted
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.planted import KINDS, PREFIX, STOPS, SUFFIX, TIMES, WIDTHS, Plan
from mnemos.bench.laws.trainer import size
from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.parametric.forget.extraction import Extraction, extract, forecast

PAPERS = ("2304.11158",)
MEANS = (
    "a smaller model that has met everything foretells what a larger one will say better than its own early state: "
    "`parametric.forget.extraction.forecast` takes either."
)


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    texts = planted.texts(seed)
    asked = [text for kind in KINDS for n in TIMES for text in texts.met[kind][n]]
    times = [n for kind in KINDS for n in TIMES for _ in texts.met[kind][n]]
    large = planted.trained(Plan(WIDTHS[-1]), seed)
    final = _extract(large.model, asked)
    found: dict[str, Any] = {"memorised": {}, "states": {}, "smaller": {}}
    for n in TIMES:
        of = [score == 1 for score, met in zip(final.scores, times, strict=True) if met == n]
        found["memorised"][n] = sum(of) / len(of)
    for at in STOPS:
        found["states"][at] = _compared(_extract(large.states[at], asked), final, at)
    for width in WIDTHS[:-1]:
        small = planted.trained(Plan(width), seed).model
        found["smaller"][width] = _compared(_extract(small, asked), final, size(small) / size(large.model))
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    memorised = {int(n): of for n, of in figures["memorised"].items()}
    states = {float(at): row for at, row in figures["states"].items()}
    small = figures["smaller"][str(WIDTHS[-2])]
    first, last = states[STOPS[0]], states[STOPS[-1]]
    share = mean(small["compute"])
    recalls = {f"{at:.0%} of the training": row["recall"] for at, row in states.items()}
    precisions = {f"{at:.0%} of the training": row["precision"] for at, row in states.items()}
    rising = [mean(row["recall"]) for row in states.values()]
    claims = [
        Claim(
            "what is memorised rises with duplication",
            verdict(mean(memorised[128]) > mean(memorised[32]) > mean(memorised[8])),
            f"said whole, by times met: {listed(memorised)} (those never met are guessed)",
        ),
        Claim(
            "precision and recall of a forecast from a partial run rise with its age",
            verdict(
                rising == sorted(rising) and mean(last["recall"]) > 0.7, mean(last["recall"]) > mean(first["recall"])
            ),
            f"recall at {listed(recalls)}; precision at {listed(precisions)}",
        ),
        Claim(
            "an earlier state of the model forecasts better than a smaller model of equal compute",
            verdict(mean(first["f1"]) > mean(small["f1"])),
            f"F1 of the state after {STOPS[0]:.0%}: {said(first['f1'])}; of a smaller model at {share:.0%} of the compute: "
            f"{said(small['f1'])} (precision {said(small['precision'])}, recall {said(small['recall'])})",
        ),
    ]
    curves: dict[str, Any] = {}
    for of in ("precision", "recall"):
        curves[f"{of}, earlier state"] = {at: row[of] for at, row in states.items()}
        curves[f"{of}, smaller model"] = {mean(row["compute"]): row[of] for row in figures["smaller"].values()}
    panels = [
        Panel("memorised", "times met", "said whole", {"largest model": memorised}, log=True),
        Panel("forecast", "share of the compute", "precision and recall", curves),
    ]
    met = {n: of for n, of in memorised.items() if n}
    curve = fit("sigmoid in log x", met, "memorised", "largest model")
    return reported(claims, panels, [curve], MEANS)


def _extract(model: Any, texts: list[str]) -> Extraction:
    return extract(model, make_tokenizer(), texts, PREFIX, SUFFIX)


def _compared(cheap: Extraction, final: Extraction, compute: float) -> dict[str, float]:
    made = forecast(cheap, final)
    precision, recall = made.precision or 0.0, made.recall or 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"compute": compute, "precision": precision, "recall": recall, "f1": f1}
