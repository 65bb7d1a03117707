"""Extraction by the size of a model, by duplication and by the kind of text (arXiv 2312.11658)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from mnemos.bench.laws import planted
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.planted import KINDS, PREFIX, SUFFIX, TIMES, WIDTHS, Plan
from mnemos.bench.laws.trainer import size
from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.parametric.forget.extraction import risks

PAPERS = ("2312.11658",)
MEANS = (
    "what nothing tells, such as a key or a number, is said whole sooner than code: keep secrets out of the weights, and"
    " ask `parametric.forget.extraction.risks` of what went in."
)


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    tokenizer, texts = make_tokenizer(), planted.texts(seed)
    found: dict[str, Any] = {"parameters": {}, "whole": {}, "share": {}}
    for width in WIDTHS:
        model = planted.trained(Plan(width), seed).model
        found["parameters"][width] = size(model)
        asked = {f"{kind} {n}": texts.met[kind][n] for kind in KINDS for n in TIMES}
        said = risks(model, tokenizer, asked, prefix=PREFIX, suffix=SUFFIX)
        found["whole"][width] = {of: risk.memorised for of, risk in said.items()}
        found["share"][width] = {of: risk.extraction.mean for of, risk in said.items()}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    whole = {int(width): row for width, row in figures["whole"].items()}
    share = {int(width): row for width, row in figures["share"].items()}
    sizes = {int(width): int(mean(n)) for width, n in figures["parameters"].items()}
    by_size = {sizes[width]: _over(whole[width], KINDS, TIMES[1:]) for width in whole}
    by_times = {n: _over(whole[WIDTHS[-1]], KINDS, (n,)) for n in TIMES}
    met = {n: of for n, of in by_times.items() if n}  # what is said of those never met is guessed
    guessed = {kind: _over(whole[WIDTHS[-1]], (kind,), TIMES[:1]) for kind in KINDS}
    kinds = {
        kind: [a - b for a, b in zip(_over(whole[WIDTHS[-1]], (kind,), TIMES[-1:]), guessed[kind], strict=True)]
        for kind in KINDS
    }
    tokens = {kind: _over(share[WIDTHS[-1]], (kind,), TIMES[-1:]) for kind in KINDS}
    unseen = {kind: _over(share[WIDTHS[-1]], (kind,), (0,)) for kind in KINDS}
    claims = [
        Claim(
            "extraction rises with the size of the model",
            _rising(by_size),
            f"said whole, by parameters: {listed(by_size)}",
        ),
        Claim(
            "it rises with duplication",
            _rising(met),
            f"said whole, by times met: {listed(by_times)} (those never met are guessed)",
        ),
        Claim(
            "data that nothing tells are extracted more than code of equal duplication",
            verdict(mean(kinds["data"]) > mean(kinds["code"]) + 0.02, mean(kinds["data"]) > mean(kinds["code"]) - 0.02),
            f"met {TIMES[-1]} times, said whole, less what is said of texts never met: {listed(kinds)}; share of "
            f"tokens: {listed(tokens)} "
            f"(never met: {listed(unseen)})",
        ),
    ]
    panels = [
        Panel(f"{sizes[width]:,} parameters", "times met", "said whole", {
            kind: {n: whole[width][f"{kind} {n}"] for n in TIMES} for kind in KINDS
        }, log=True)
        for width in WIDTHS
    ]  # fmt: skip
    largest = WIDTHS[-1]
    met = {n: whole[largest][f"data {n}"] for n in TIMES if n}
    curve = fit("sigmoid in log x", met, f"{sizes[largest]:,} parameters", "data")
    return reported(claims, panels, [curve], MEANS)


def _over(row: Mapping[str, list[float]], kinds: tuple[Any, ...], times: tuple[int, ...]) -> list[float]:
    """Return means over kinds and times, by seed."""
    lists = [row[f"{kind} {n}"] for kind in kinds for n in times]
    return [mean(of) for of in zip(*lists, strict=True)]


def _rising(rows: Mapping[Any, list[float]]) -> Any:
    values = [mean(of) for of in rows.values()]
    return verdict(all(a <= b + 0.05 for a, b in pairwise(values)) and values[-1] > values[0], values[-1] > values[0])
