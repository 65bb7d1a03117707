"""What an outer-product memory reads right, by its width, by the data and by what is admitted (arXiv 2310.02984).

W = sum_x q(x) u_f(x) e_x' with random unit embeddings of width d; x is met with probability p(x) ~ x^-2, its output f(x) is one
of ten, and the one with the largest u' W e_x is read. Stored by frequency (q = p) the error should fall as d^-((a - 1) / 2a),
which is d^-1/4, and with the most frequent d / 4 items stored alike as d^-(a - 1) = d^-1; with room for all that was met among
T, as T^(1/a - 1) = T^-1/2. `neural.associative.admission` chooses how many to store, and foretells what is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnemos.bench.laws.claims import Claim, Panel, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.registry import Figure
from mnemos.neural.associative.admission import admitted, expected_error

PAPERS = ("2310.02984",)
MEANS = (
    "a memory of outer products recalls most when the frequent items are stored alike and the rest is not admitted: "
    "`neural.associative.admission.admitted` says how many fit a width, and the error that is left."
)
TAIL, ITEMS, OUTPUTS = 2.0, 4000, 10  # exponent of the frequencies; items; outputs
WIDTHS, WIDER = (64, 128, 256, 512, 1024), (64, 128, 256, 512, 1024, 2048, 4096)  # the wider ones for frequency alone
DRAWS, ROOM = 12, 4  # memories a width; channels an item that is stored alike
MET, WIDE = (10, 30, 100, 300, 1000), 2048  # samples of the data, and the width that has room for all of them
EXPECTED = {"by frequency": -(TAIL - 1) / (2 * TAIL), "most frequent alike": -(TAIL - 1), "samples": 1 / TAIL - 1}


def frequencies() -> Any:
    """Return the probability of each item, the most frequent first."""
    p = np.arange(1, ITEMS + 1) ** -TAIL
    return p / p.sum()


def error(q: Any, width: int, rng: np.random.Generator) -> float:
    """Return the probability of a wrong read, of a memory in which items weigh q (ITEMS,)."""
    u, e = _unit(rng, OUTPUTS, width), _unit(rng, ITEMS, width)
    f = np.arange(ITEMS) % OUTPUTS
    stored = q > 0
    sums = np.zeros((OUTPUTS, width), np.float32)
    np.add.at(sums, f[stored], q[stored, None].astype(np.float32) * e[stored])
    read = (u @ u.T @ sums) @ e.T  # (OUTPUTS, ITEMS): u' W e of all
    wrong, p = read.argmax(0) != f, frequencies()
    if len(set(q[stored].tolist())) == 1:  # items that are stored alike may be exchanged: their mean has less noise
        return float(p[stored].sum() * wrong[stored].mean() + p[~stored & wrong].sum())
    return float(p[wrong].sum())


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng, p = np.random.default_rng(seed), frequencies()
    found: dict[str, Any] = {name: {} for name in (*EXPECTED, "chosen", "foretold")}
    for width in WIDER:
        found["by frequency"][width] = _mean_error(p, width, rng)
    for width in WIDTHS:
        found["most frequent alike"][width] = _mean_error(_first(width // ROOM), width, rng)
    for width in WIDTHS:
        count = admitted(p, width, OUTPUTS)
        found["chosen"][width] = _mean_error(_first(count), width, rng)
        found["foretold"][width] = expected_error(p, count, width, OUTPUTS)
    for met in MET:
        seen = [np.bincount(rng.choice(ITEMS, met, p=p), minlength=ITEMS) > 0 for _ in range(DRAWS)]
        found["samples"][met] = float(np.mean([error(of.astype(float), WIDE, rng) for of in seen]))
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    rows = {name: {int(of): values for of, values in row.items()} for name, row in figures.items()}
    places = {name: "by samples" if name == "samples" else "by width" for name in rows}
    fits = {name: fit("power law", rows[name], places[name], name) for name in EXPECTED}
    claims = []
    for name, slope in EXPECTED.items():
        off = abs(fits[name].value("exponent") / slope - 1)
        claims.append(Claim(
            f"the error falls as a power of {'the samples' if name == 'samples' else 'the width'} of exponent {slope:g}: {name}",
            verdict(off < 0.15, off < 0.3), f"exponent {fits[name].said('exponent')}, R² {fits[name].r2:.3f}",
        ))  # fmt: skip
    pairs = {w: (mean(rows["most frequent alike"][w]), mean(rows["by frequency"][w])) for w in WIDTHS}
    claims.append(Claim(
        "what is admitted alike up to a threshold is read better than what is stored by frequency, at each width",
        verdict(all(alike < other for alike, other in pairs.values()), pairs[WIDTHS[-1]][0] < pairs[WIDTHS[-1]][1]),
        "errors, alike and by frequency: " + ", ".join(f"{w}: {a:.3f} and {b:.3f}" for w, (a, b) in pairs.items()),
    ))  # fmt: skip
    off = max(abs(mean(rows["foretold"][w]) / mean(rows["chosen"][w]) - 1) for w in WIDTHS)
    claims.append(Claim(
        "what is read is known before it is stored, within 15 %, and the number to admit with it",
        verdict(off < 0.15 and all(mean(rows["chosen"][w]) < pairs[w][0] * 1.05 for w in WIDTHS), off < 0.3),
        f"off by {100 * off:.0f} % at most; error with what `admitted` chooses: "
        + ", ".join(f"{w}: {mean(rows['chosen'][w]):.4f} (foretold {mean(rows['foretold'][w]):.4f})" for w in WIDTHS),
    ))  # fmt: skip
    shown = ("by frequency", "most frequent alike", "chosen", "foretold")
    panels = [
        Panel("by width", "width", "probability of a wrong read", {n: rows[n] for n in shown}, True, True),
        Panel("by samples", "samples", "probability of a wrong read", {"samples": rows["samples"]}, True, True),
    ]
    widest = WIDTHS[-1]
    admits = Figure(
        f"leaves an error of {said(rows['chosen'][widest], 4)} in a memory {widest} wide of {ITEMS:,} items, ten outputs",
        {"all items by their frequency": said(rows["by frequency"][widest], 4)},
    )
    return reported(claims, panels, list(fits.values()), MEANS, {"neural/admission": admits})


def _unit(rng: np.random.Generator, count: int, width: int) -> Any:
    drawn = rng.standard_normal((count, width), dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _mean_error(q: Any, width: int, rng: np.random.Generator) -> float:
    return float(np.mean([error(q, width, rng) for _ in range(DRAWS)]))


def _first(count: int) -> Any:
    return (np.arange(ITEMS) < count).astype(float)
