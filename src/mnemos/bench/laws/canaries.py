"""Planted canaries (arXiv 2510.19811): extraction and membership by duplication, size of the corpus and time.

Canaries are lists of random names. Whoever is met 0 times is the placebo: nothing may tell it from others.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import sqrt
from typing import Any

from mnemos.bench.laws import planted
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.planted import PREFIX, SUFFIX, TIMES, Plan
from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.parametric.base import Example
from mnemos.parametric.forget.extraction import extract
from mnemos.parametric.forget.membership import audit

PAPERS = ("2510.19811",)
MEANS = (
    "a text that is met more than a few times can be told, and then said: count duplicates before weights learn, and run"
    " `parametric.forget.membership.audit` afterwards."
)

CORPORA = {"corpus": Plan(), "5 x corpus": Plan(clean=5), "early": Plan(when="early"), "late": Plan(when="late")}


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    tokenizer, texts = make_tokenizer(), planted.texts(seed)
    others = [Example("", text) for text in texts.others["data"]]
    found: dict[str, Any] = {}
    for name, plan in CORPORA.items():
        model = planted.trained(plan, seed).model
        for n, met in texts.met["data"].items():
            told = audit(model, tokenizer, [Example("", text) for text in met], others)
            said = extract(model, tokenizer, met, PREFIX, SUFFIX)
            row = {"auc": told.auc, "error": told.error, "whole": said.memorised, "share": said.mean}
            found.setdefault(name, {})[str(n)] = row
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    auc, whole, share = ({name: _by(row, of) for name, row in figures.items()} for of in ("auc", "whole", "share"))
    risen = [mean(auc["corpus"][n]) for n in TIMES]
    diluted = {n: [a - b for a, b in zip(auc["corpus"][n], auc["5 x corpus"][n], strict=True)] for n in TIMES[1:]}
    sooner = {n: [a - b for a, b in zip(auc["late"][n], auc["early"][n], strict=True)] for n in TIMES[1:]}
    placebo = {name: row[0] for name, row in auc.items()}
    errors = {name: 1.96 * mean(row["0"]["error"]) / sqrt(len(row["0"]["error"])) for name, row in figures.items()}
    off = max(abs(mean(placebo[name]) - 0.5) - error for name, error in errors.items())
    claims = [
        Claim(
            "membership rises with duplication",
            verdict(all(a <= b for a, b in pairwise(risen)), risen[-1] > risen[0]),
            f"AUC by times met: {listed(auc['corpus'])}",
        ),
        Claim(
            "so does extraction",
            verdict(mean(share["corpus"][TIMES[-1]]) > mean(share["corpus"][0]) + 0.05),
            f"share of tokens said, by times met: {listed(share['corpus'])}; said whole: {listed(whole['corpus'])}",
        ),
        Claim(
            "both fall when the rest of the corpus grows fivefold",
            verdict(
                _less(diluted) and mean(share["5 x corpus"][TIMES[-1]]) < mean(share["corpus"][TIMES[-1]]),
                mean(diluted[32]) > 0,
            ),
            f"AUC by times met: {listed(auc['5 x corpus'])}; tokens said of those met {TIMES[-1]} times: "
            f"{listed({name: share[name][TIMES[-1]] for name in ('corpus', '5 x corpus')})}",
        ),
        Claim(
            "what was met early is less at risk than what was met late",
            verdict(_less(sooner), mean(sooner[32]) > 0),
            f"AUC, early: {listed(auc['early'])}; late: {listed(auc['late'])}",
        ),
        Claim(
            "the placebo, met 0 times, is at .5 within the error",
            verdict(off <= 0),
            f"AUC {listed(placebo)}; 95 % of means would be within ± {max(errors.values()):.2f}",
        ),
    ]
    panels = [
        Panel("membership", "times met", "AUC", auc, log=True),
        Panel("extraction", "times met", "share of tokens said", share, log=True),
    ]
    said = {n: of for n, of in share["corpus"].items() if n}
    return reported(claims, panels, [fit("sigmoid in log x", said, "extraction", "corpus")], MEANS)


def _less(differences: Mapping[int, list[float]]) -> bool:
    """Tell whether the AUC is less for some, and more for none, of those met more than once; at 1 both may be the same."""
    means = [mean(of) for n, of in differences.items() if n > 1]
    return min(means) >= 0 and max(means) > 0.05


def _by(row: Mapping[str, Any], of: str) -> dict[float, list[float]]:
    return {int(n): each[of] for n, each in row.items()}
