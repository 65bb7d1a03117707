"""Where a softmax read turns from an average into the nearest key (arXiv 2408.05807): `neural.associative.temperature`.

n = exp(alpha d) standard normal keys are asked by strangers. The square sum of the weights rises from 1 / n to 1 as the
bandwidth h falls; a sigmoid through it has its middle where reads condense, which theory puts at h_G(alpha), below the bandwidth
h_CLT from which sums are normal. Noisy cues are then read at the temperature of the rule and at fixed ones, over memories
of several sizes and scales. `mnemos bench associative` has the same reads in its parts `condensed` and `temperature`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.laws.claims import Claim, Panel, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.neural.associative_pairs import read_error
from mnemos.neural.associative.temperature import condensation, normal_sums, participation

PAPERS = ("2408.05807",)
MEANS = (
    "a read of many keys is an average above one bandwidth and the nearest key below it, so its temperature depends on the keys: "
    "`neural.associative.temperature.read_temperature` finds it, and `Hopfield(beta=None)` reads so."
)
SIZES = ((300, 16), (3000, 16), (3000, 32), (3000, 64), (3000, 128))
GRID = tuple(1.06**i for i in range(-16, 17))  # bandwidths, in h_G
ASKED = 200  # strangers
FIXED = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # inverse temperatures
MEMORIES = tuple((n, d, size) for n, d in ((64, 8), (1024, 16), (3000, 64)) for size in (0.5, 1.0, 2.0))


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = torch.Generator().manual_seed(seed)
    cells = {f"{n} {d}": _condensed(n, d, rng) for n, d in SIZES}
    errors: dict[str, float] = {}
    for beta in (None, *FIXED):
        name = "the rule" if beta is None else f"beta {beta:g}"
        errors[name] = sum(read_error(n, d, size, beta, seed) for n, d, size in MEMORIES) / len(MEMORIES)
    return {"cells": cells, "errors": errors}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    shares, middles, likely, curves = [], {}, {}, {}
    for key, row in figures["cells"].items():
        n, d = map(int, key.split())
        name, h_g = f"n {n:,}, d {d}", condensation(math.log(n) / d)
        curves[name] = {h_g * float(of): values for of, values in row["share"].items()}
        shares.append(fit("sigmoid in log x", curves[name], "condensation", name))
        middles[name] = shares[-1].value("middle") / h_g
        likely[name] = mean(row["likeliest"]) / normal_sums(math.log(n) / d)
    errors = figures["errors"]
    fixed = {name: of for name, of in errors.items() if name != "the rule"}
    best = min(fixed, key=lambda name: mean(fixed[name]))
    held = [(mean(row["held"]["few"]), mean(row["held"]["many"]), key) for key, row in figures["cells"].items()]
    counts = ", ".join(f"n {key.replace(' ', ', d ')}: {few:.1f} and {many:.0f}" for few, many, key in held)
    claims = [
        Claim(
            "reads condense near h_G (the middle within 25 %)",
            verdict(all(abs(m - 1) < 0.25 for m in middles.values()), all(abs(m - 1) < 0.5 for m in middles.values())),
            "middle over h_G: " + ", ".join(f"{name}: {m:.2f}" for name, m in middles.items()),
        ),
        Claim(
            "a handful of keys holds a read at half of h_G, a good part of all of them at twice h_CLT",
            verdict(all(few < 5 and many > 0.1 * int(key.split()[0]) for few, many, key in held)),
            f"keys that hold it: {counts}",
        ),
        Claim(
            "keys that were left out are likeliest at a bandwidth below h_CLT",
            verdict(all(of < 1 for of in likely.values()), min(likely.values()) < 1),
            "likeliest over h_CLT: " + ", ".join(f"{name}: {of:.2f}" for name, of in likely.items()),
        ),
        Claim(
            "a temperature chosen by the rule reads noisy cues better than any fixed one",
            verdict(all(a < b for a, b in zip(errors["the rule"], errors[best], strict=True))),
            f"mean error: {said(errors['the rule'], 3)}; the best fixed one, {best}: {said(errors[best], 3)}",
        ),
    ]  # fmt: skip
    beside = {"fixed": {float(name.split()[1]): of for name, of in fixed.items()}}
    beside["the rule"] = dict.fromkeys((FIXED[0], FIXED[-1]), errors["the rule"])
    panels = [
        Panel("condensation", "bandwidth", "share of the weight's square sum", curves, log=True),
        Panel("noisy cues", "inverse temperature", "error of the read", beside, log=True),
    ]
    return reported(claims, panels, shares, MEANS)


def _condensed(n: int, d: int, rng: Any) -> dict[str, Any]:
    known, asked = (torch.randn(m, d, generator=rng, dtype=torch.double) for m in (n, ASKED))
    apart = torch.cdist(asked, known).square()
    h_g, h_clt = condensation(math.log(n) / d), normal_sums(math.log(n) / d)

    def weights(h: float) -> Tensor:
        return (-apart / (2 * h * h)).softmax(-1)

    likely = {h: float(((-apart / (2 * h * h * h_g**2)).logsumexp(-1) - d * math.log(h * h_g)).mean()) for h in GRID}
    return {
        "share": {f"{h:.4f}": float(weights(h * h_g).square().sum(-1).mean()) for h in GRID},
        "likeliest": h_g * max(likely, key=likely.__getitem__),
        "held": {name: float(participation(weights(h)).mean()) for name, h in (("few", h_g / 2), ("many", 2 * h_clt))},
    }
