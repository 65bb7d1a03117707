"""Capacity density (arXiv 2412.04315): models that were compressed, by the size of an untouched model that is as good.

Five reference models read about one world; their loss above the entropy of the texts is a power law in their size, and what they
know is a sigmoid of the logarithm of that loss. Two further sizes are held out. That density doubles every three months in the
world's models cannot be seen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnemos.bench.laws import population
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.trainer import size
from mnemos.parametric.density import reference

PAPERS = ("2412.04315",)
WIDTHS, HELD_OUT = (12, 16, 24, 32, 40), (20, 28)
ROUNDED = {f"{bits} bits": bits for bits in (6, 4, 3)}
PRUNED = {f"{share:.0%} pruned": share for share in (0.1, 0.2, 0.3)}


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    floor = population.entropy(seed)
    models = {width: population.grown(width, seed).model for width in (*WIDTHS, *HELD_OUT)}
    held = models[HELD_OUT[-1]]
    variants = {name: population.rounded(held, bits) for name, bits in ROUNDED.items()}
    variants |= {name: population.pruned(held, share) for name, share in PRUNED.items()}
    rows = {width: _row(model, seed) for width, model in models.items()}
    sizes, losses, scores = ([rows[width][of] for width in WIDTHS] for of in ("parameters", "loss", "score"))
    curves = reference(sizes, losses, scores, floor)
    changed = {name: _row(model, seed) for name, model in variants.items()}
    return {
        "floor": floor,
        "models": {str(width): row for width, row in rows.items()},
        "changed": changed,
        "r2": {"loss by size": curves.size.r2, "score by loss": curves.score.r2},
        "exponent": curves.size.slope,
        "density": {
            "held out": {str(w): curves.density(rows[w]["score"], rows[w]["parameters"]) for w in HELD_OUT},
            "changed": {name: curves.density(row["score"], row["parameters"]) for name, row in changed.items()},
        },
    }


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    rows = {int(width): row for width, row in figures["models"].items()}
    r2, density = figures["r2"], figures["density"]
    held = {f"{mean(rows[int(width)]['parameters']):.0f}": of for width, of in density["held out"].items()}
    off = [abs(mean(of) - 1) for of in held.values()]
    changed = density["changed"]
    orders = [[mean(changed[name]) for name in of] for of in (ROUNDED, PRUNED)]
    excess = {
        mean(rows[w]["parameters"]): [a - b for a, b in zip(rows[w]["loss"], figures["floor"], strict=True)]
        for w in WIDTHS
    }
    scores = {mean(rows[w]["parameters"]): rows[w]["score"] for w in WIDTHS}
    claims = [
        Claim(
            "the loss of reference models is a power law in their size, and their score a sigmoid of the loss (R² above .95)",
            verdict(min(mean(of) for of in r2.values()) > 0.95, min(mean(of) for of in r2.values()) > 0.9),
            f"R²: {listed(r2, 3)}; exponent {said(figures['exponent'])}",
        ),
        Claim(
            "the density of a model that was held out and not touched is 1 within .1",
            verdict(max(off) <= 0.1, max(off) <= 0.2),
            f"by parameters: {listed(held)}",
        ),
        Claim(
            "rounding and pruning lower it, the more the harsher they are",
            verdict(
                all(of == sorted(of, reverse=True) and of[-1] < 0.9 for of in orders),
                all(of[-1] < 0.9 for of in orders),
            ),
            f"of the model with {mean(rows[HELD_OUT[-1]]['parameters']):.0f} parameters: {listed(changed)}",
        ),
    ]
    law = fit("power law", excess, "loss", "reference models")
    names = [*held, *changed]
    panels = [
        Panel(
            "loss", "parameters", "loss above the entropy, nats a token", {"reference models": excess}, True, log_y=True
        ),
        Panel("score", "parameters", "facts known", {"reference models": scores}, log=True),
        Panel(
            "density", "", "density", {"measured": dict(enumerate([*held.values(), *changed.values()]))}, ticks=names
        ),
    ]
    means = (
        "A memory that was compressed or edited is worth as many parameters as `density` says: "
        f"4 bits a weight take an eighth of the bytes and leave {mean(changed['4 bits']):.0%} of the model, and "
        f"cutting {PRUNED['30% pruned']:.0%} of the weights leaves {mean(changed['30% pruned']):.0%}."
    )
    return reported(claims, panels, [law], means)


def _row(model: Any, seed: int) -> dict[str, float]:
    scores = [population.known(model, seed, template) for template in range(3)]
    return {"parameters": size(model), "loss": population.loss(model, seed), "score": mean(scores)}
