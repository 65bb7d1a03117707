"""What is lost by not fitting what was seen once (arXiv 1906.05271): memorisers, regularised and compressed models.

Subpopulations have frequencies of a long tail (Zipf) or of a short one (alike), a random label each, and are met n times in
all. A memoriser answers what it met; one that ignores singletons errs by tau_1 more for each of them, where tau_1 is the
expected frequency of what was met once under the prior: E[a^2 (1 - a)^(n-1)] / E[a (1 - a)^(n-1)]. Then a linear classifier
learns the same from noisy points around a centre for each subpopulation: fully, with a ridge, pruned, and in fewer bits. A
short tail is one whose subpopulations are few enough to be met often.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.text.forget.long_tail import chances

PAPERS = ("1906.05271",)
MEANS = (
    "where the tail is long, what was used once is worth keeping: `space.inspect.due_soon` says what share of coming recalls a "
    "policy gives up (`text.forget.long_tail.chances`); compression takes rare memories first, so judge it on them."
)
SUBPOPULATIONS = {"long tail": 2000, "short tail": 50}
SAMPLES = (250, 500, 1000, 2000, 4000)
DRAWS, CLASSES = 150, 10
WIDTH, TRAINED, NOISE = (
    400,
    1000,
    0.6,
)  # of the points; points that a classifier learns; around their centre, in its length
RIDGES = (0.1, 1.0, 10.0, 100.0)
PRUNED, BITS = (0.5, 0.7, 0.8, 0.9), (4, 3, 2)


def prior(kind: str) -> Any:
    """Return the frequencies of subpopulations, the largest first."""
    count = SUBPOPULATIONS[kind]
    p = np.arange(1, count + 1) ** -1.0 if kind == "long tail" else np.ones(count)
    return p / p.sum()


def tau(p: Any, n: int) -> float:
    """Return the expected frequency of what was met once in n samples."""
    return float((p**2 * (1 - p) ** (n - 1)).sum() / (p * (1 - p) ** (n - 1)).sum())


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = np.random.default_rng(seed)
    lookups = {kind: {n: _lookup(prior(kind), n, rng) for n in SAMPLES} for kind in SUBPOPULATIONS}
    return {"lookups": lookups, "classifiers": {kind: _classifiers(prior(kind), rng) for kind in SUBPOPULATIONS}}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    rows = {kind: {int(n): row for n, row in of.items()} for kind, of in figures["lookups"].items()}
    long, short = rows["long tail"], rows["short tail"]
    off = max(abs(mean(row["gap"]) / mean(row["expected gap"]) - 1) for row in long.values())
    turing = max(abs(mean(row["expected use"]) / mean(row["gap"]) - 1) for row in long.values())
    models, alike = figures["classifiers"]["long tail"], figures["classifiers"]["short tail"]
    full = models["full"]
    others = {name: of for name, of in models.items() if name != "full"}
    worse = {name: _less(of, full, "error") for name, of in others.items()}
    unfitted = [name for name, of in others.items() if mean(of["fitted"]) < 0.85]
    lost = {name: {group: _less(full, of, group) for group in ("rare", "common")} for name, of in others.items()}
    lost = {name: of for name, of in lost.items() if name.startswith(("pruned", "bits"))}
    strong = {name: of for name, of in lost.items() if mean(of["rare"]) + mean(of["common"]) > 0.02}
    short_gap = _less(alike["ridge 100"], alike["full"], "error")
    both = {n: (mean(r["memoriser"]), mean(r["memoriser"]) + mean(r["gap"])) for n, r in long.items()}
    at = SAMPLES[1]
    claims = [
        Claim(
            "ignoring what was seen once costs tau_1 for each singleton, within 5 %",
            verdict(off < 0.05, off < 0.15),
            f"off by {100 * off:.1f} % at most; error of a memoriser and of one that ignores singletons, by samples: "
            + ", ".join(f"{n}: {of:.3f} and {without:.3f}" for n, (of, without) in both.items()),
        ),
        Claim(
            "there is no such cost where the tail is short",
            verdict(mean(short[at]["gap"]) < 0.1 * mean(long[at]["gap"])),
            f"{at} samples: {said(short[at]['gap'], 4)}, and {said(long[at]['gap'], 4)} with a long tail",
        ),
        Claim(
            "a classifier that fits what was met once beats those that are regularised or compressed until they do not; a short "
            "tail costs them nothing",
            verdict(all(min(worse[name]) > 0 for name in unfitted)
                    and mean(worse["ridge 100"]) > 3 * max(mean(short_gap), 0.0),
                    mean(worse["ridge 100"]) > 0),
            f"more errors than the full one: {listed(worse, 3)} (not fitted: {', '.join(unfitted)}); short tail, ridge 100: "
            f"{said(short_gap, 3)}",
        ),
        Claim(
            "compression takes rare subpopulations first",
            verdict(all(mean(of["rare"]) > 1.5 * mean(of["common"]) for of in strong.values()),
                    all(mean(of["rare"]) > mean(of["common"]) for of in strong.values())),
            "accuracy lost, of what was met once and of the ten most frequent: "
            + ", ".join(f"{name}: {mean(of['rare']):.3f} and {mean(of['common']):.3f}" for name, of in lost.items()),
        ),
        Claim(
            "the share of coming uses that singletons hold is known from counts alone (Good and Turing), within 20 %",
            verdict(turing < 0.2, turing < 0.4),
            f"off by {100 * turing:.0f} % at most, mean of {DRAWS} draws and all seeds",
        ),
    ]  # fmt: skip
    panels = _panels(long, short, both, models)
    curve = fit("logarithm", panels[0].curves["memoriser"], panels[0].title, "memoriser")
    return reported(claims, panels, [curve], MEANS)


def _panels(long: Any, short: Any, both: Mapping[int, tuple[float, float]], models: Any) -> list[Panel]:
    errors = {"memoriser": {n: r["memoriser"] for n, r in long.items()}}
    errors["without singletons"] = {n: [without] for n, (_, without) in both.items()}
    gaps = {"measured": {n: row["gap"] for n, row in long.items()},
            "tau_1 x singletons": {n: row["expected gap"] for n, row in long.items()},
            "short tail": {n: row["gap"] for n, row in short.items()}}  # fmt: skip
    levels = {group: {float(share): models["full" if not share else f"pruned {share:g}"][group] for share in (0, *PRUNED)}
              for group in ("rare", "common")}  # fmt: skip
    return [
        Panel("long tail", "samples", "error", errors, log=True),
        Panel("singletons ignored", "samples", "more errors", gaps, log=True),
        Panel("weights pruned", "share of weights", "right", levels),
    ]


def _less(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> list[float]:
    return [a - b for a, b in zip(one[name], other[name], strict=True)]


def _lookup(p: Any, n: int, rng: np.random.Generator) -> dict[str, float]:
    """Return the errors of lookups: how probable a wrong answer is, given what was met; guesses are right once in CLASSES."""
    wrong, found = 1 - 1 / CLASSES, []
    for _ in range(DRAWS):
        met = rng.multinomial(n, p)
        once = met == 1
        found.append((
            wrong * p[met == 0].sum(), wrong * p[once].sum(), wrong * tau(p, n) * once.sum(), wrong * chances(met)[once].sum(),
        ))  # fmt: skip
    memoriser, gap, expected, use = np.mean(found, axis=0).tolist()
    return {"memoriser": memoriser, "gap": gap, "expected gap": expected, "expected use": use}


def _classifiers(p: Any, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return error, and accuracy on rare and common subpopulations, of linear classifiers."""
    centres, labels = rng.standard_normal((len(p), WIDTH)), rng.integers(CLASSES, size=len(p))
    drawn = rng.choice(len(p), TRAINED, p=p)
    x = centres[drawn] + NOISE * rng.standard_normal((TRAINED, WIDTH))
    y = np.eye(CLASSES)[labels[drawn]] - 1 / CLASSES
    tests = [centres + NOISE * rng.standard_normal(centres.shape) for _ in range(4)]
    met = np.bincount(drawn, minlength=len(p))
    common = np.arange(len(p)) < 10
    rare = met == 1 if (met == 1).any() else ~common  # with a short tail nothing was met once

    def tested(w: Any) -> dict[str, float]:
        right = np.mean([(t @ w).argmax(1) == labels for t in tests], axis=0)
        answers = (x @ w).argmax(1) == labels[drawn]
        return {
            "error": float(p @ (1 - right)), "rare": float(right[rare].mean()), "common": float(right[common].mean()),
            "fitted": float(answers[rare[drawn]].mean()),
        }  # fmt: skip

    def learned(ridge: float) -> Any:
        return np.linalg.solve(x.T @ x + ridge * WIDTH * np.eye(WIDTH), x.T @ y)

    full = learned(0.01)
    found = {"full": tested(full)} | {f"ridge {ridge:g}": tested(learned(ridge)) for ridge in RIDGES}
    for share in PRUNED:
        found[f"pruned {share:g}"] = tested(np.where(np.abs(full) >= np.quantile(np.abs(full), share), full, 0))
    for bits in BITS:
        step = np.abs(full).max() / (2 ** (bits - 1) - 0.5)
        found[f"bits {bits}"] = tested((np.floor(full / step) + 0.5) * step)
    return found
