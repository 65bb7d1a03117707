"""How a linear recurrent network learns a time scale (arXiv 2503.18754): one eigenvalue leaves the others.

The network of `bench.neural.recurrence.integration` learns to integrate noise over 10 steps, from three sizes of its weights at
the start; the curve beside its largest eigenvalue is that of two numbers, without a fit, which theory has for small weights.
`mnemos bench recurrent` has the same networks in its part `integration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.neural.recurrence.integration import STEPS, TAU, moved

PAPERS = ("2503.18754",)
MEANS = (
    "whether a recurrent memory has learned to remember shows in one number before it shows in the loss: log "
    "`neural.recurrent.probes.timescale` while it trains, and go on as long as it rises."
)
STARTS = {f"W of radius {radius:g}": radius for radius in (0.01, 0.05, 0.2)}
ROWS = tuple(STARTS)
EVERY = 100  # steps of the picture


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    found: dict[str, Any] = {}
    for row in ROWS:
        trace: dict[int, tuple[float, float, float]] = {}
        figures = moved(STARTS[row], seed, trace)
        kept = {step: values for step, values in trace.items() if step % EVERY == 0}
        names = ("eigenvalue", "curve", "loss")
        found[row] = figures | {name: {s: v[i] for s, v in kept.items()} for i, name in enumerate(names)}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    off = {row: figures[row]["off"] for row in ROWS}
    apart = {
        row: [abs(a - b) for a, b in zip(figures[row]["plateau"], figures[row]["detached"], strict=True)]
        for row in ROWS
    }
    second = {row: [v / STARTS[row] for v in figures[row]["second eigenvalue"]] for row in ROWS}
    learned = {row: figures[row]["time scale at the end"] for row in ROWS}
    near = [mean(of) < 0.05 * STEPS for of in apart.values()]
    claims = [
        Claim(
            "one eigenvalue leaves the others, which stay where they were, and goes to the time scale that is asked for",
            verdict(
                all(max(of) < 1.2 for of in second.values())
                and all(abs(mean(t) / TAU - 1) < 0.05 for t in learned.values())
            ),
            f"the second one at the end, over the radius at the start: {listed(second)}; time scale learned: {listed(learned)}",
        ),
        Claim(
            "its way is the curve of two numbers, within 10 % where the weights begin small, and leaves it where they do not",
            verdict(mean(off[ROWS[0]]) < 0.1 < mean(off[ROWS[-1]]), mean(off[ROWS[0]]) < 0.1),
            f"largest difference: {listed(off)}",
        ),
        Claim(
            "the loss leaves its plateau when the eigenvalue leaves the others (within 5 % of the steps)",
            verdict(all(near), any(near)),
            f"steps between the two: {listed(apart, 0)}, of {STEPS:,}",
        ),
    ]
    ways = {of: {int(s): v for s, v in figures[ROWS[0]][of].items()} for of in ("eigenvalue", "curve")}
    ways |= {f"eigenvalue, {ROWS[-1]}": {int(s): v for s, v in figures[ROWS[-1]]["eigenvalue"].items()}}
    losses = {row: {int(s): v for s, v in figures[row]["loss"].items()} for row in ROWS}
    panels = [
        Panel(f"eigenvalue, {ROWS[0]}", "step", "largest eigenvalue", ways),
        Panel("loss", "step", "loss over the first", losses),
    ]
    return reported(claims, panels, [fit("sigmoid", ways["eigenvalue"], panels[0].title, "eigenvalue")], MEANS)
