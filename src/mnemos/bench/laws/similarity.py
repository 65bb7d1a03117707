"""Forgetting by the similarity of two tasks and by spare parameters (arXiv 2401.12617): a closed form, and small networks.

Two linear regressions are solved in turn, each with the least change; the second has the first one's inputs, of which the
share `changed` of the features is turned at random. The paper's form is of the worst inputs; `expected` is of normal ones, in
the limit of many features, by free cumulants of the turn. Networks learn 10 classes of made-up images, then the same images
with a share of their pixels permuted: with many spare parameters (1,000 units, 20 images) and with few (30 units, 300 images).
Forgotten is the squared error of the first task after the second, over that of a guess of 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("2401.12617",)
MEANS = (
    "weights with room to spare forget most when a new task is half like the old one: rehearse (`parametric.consolidate.replay`) "
    "where new memories overlap with old ones in part; what is wholly new does less harm there."
)
FEATURES, TEACHERS, DRAWS = 400, 32, 16  # of the regressions; each draw has its own turn
SPARE = (20.0, 5.0, 2.0, 1.25, 1.05)  # features over samples
CHANGED = (0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0)  # shares of the features
SIDE, CLASSES, PERMUTATIONS = 10, 10, 3  # of the images
PIXELS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # shares that are permuted
NETWORKS = {"spare": (1000, 20, 0.1, 1e-3), "full": (30, 300, 1.0, 3e-3)}  # units, images, noise, rate
STEPS, ENOUGH = 600, 1e-3  # of a training at most; its loss at the end


def expected(changed: float, spare: float) -> float:
    """Return the share of the labels' square that is forgotten, for `spare` features a sample and `changed` of them turned."""
    a, d = 1 - changed, 1 / spare  # mean of the turn; share of the space that samples span
    # cumulants of the turn with its inverse, and with itself, as samples see it
    k2, other = d * (1 - a * a), d * (a - a * a)
    third = -a - a * a + 2 * a**3
    k3 = d**2 * third
    pairs = 4 * (1 - a * a) + 2 * (a - a * a)
    k4 = d**3 * (1 - 4 * a * third - 2 * (1 - a * a) ** 2 - a * a * pairs - a**4)
    second = k2 + a * a
    three = k3 + a * (2 * k2 + other) + a**3
    four = k4 + 4 * a * k3 + 2 * k2**2 + a * a * (4 * k2 + 2 * other) + a**4
    return second - 2 * three + four


def turned_by(changed: float, rng: np.random.Generator) -> Any:
    """Return a random turn (m, m) of the first m features, the share `changed` of them."""
    m = round(changed * FEATURES)
    turn, triangle = np.linalg.qr(rng.standard_normal((m, m)))
    return turn * np.sign(np.diag(triangle))


def simulated(turn: Any, spare: float, rng: np.random.Generator) -> float:
    """Return what two regressions in turn forget, for one draw of inputs and teachers."""
    x, truth = rng.standard_normal((round(FEATURES / spare), FEATURES)), rng.standard_normal((FEATURES, TEACHERS))
    turned = x.copy()
    turned[:, : len(turn)] = x[:, : len(turn)] @ turn
    y = x @ truth
    first = x.T @ np.linalg.solve(x @ x.T, y)
    second = first + turned.T @ np.linalg.solve(turned @ turned.T, y - turned @ first)
    return float(((x @ second - y) ** 2).sum() / (y**2).sum())


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = np.random.default_rng(seed)
    linear: dict[str, dict[str, float]] = {f"{spare:g}": {} for spare in SPARE}
    for of in CHANGED:
        turns = [turned_by(of, rng) for _ in range(DRAWS)]
        for spare in SPARE:
            linear[f"{spare:g}"][f"{of:g}"] = float(np.mean([simulated(turn, spare, rng) for turn in turns]))
    return {"linear": linear, "networks": {name: _network(name, seed) for name in NETWORKS}}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    linear = {float(s): {float(of): values for of, values in row.items()} for s, row in figures["linear"].items()}
    networks = {name: {float(of): v for of, v in row.items()} for name, row in figures["networks"].items()}
    off = {(s, of): abs(mean(v) / expected(of, s) - 1) for s, row in linear.items() for of, v in row.items()}
    peaks = {s: max(row, key=lambda of: mean(row[of])) for s, row in linear.items()}
    spare, full = networks["spare"], networks["full"]
    peak = max(spare, key=lambda of: mean(spare[of]))
    rising = [mean(v) for v in full.values()]
    claims = [
        Claim(
            "what is forgotten is what the closed form says, within 5 %",
            verdict(max(off.values()) < 0.05, np.quantile(list(off.values()), 0.9) < 0.05),
            f"off by {100 * max(off.values()):.1f} % at most, {100 * float(np.mean(list(off.values()))):.1f} % on average, "
            f"over {len(off)} cells",
        ),
        Claim(
            "with spare parameters a middle similarity is worst; near the threshold forgetting rises with the change to the end",
            verdict(0.25 <= peaks[SPARE[0]] <= 0.75 and peaks[SPARE[-1]] == 1),
            "worst share changed, by features a sample: " + ", ".join(f"{s:g}: {of:g}" for s, of in peaks.items()),
        ),
        Claim(
            "a network with spare parameters forgets most at a middle share of permuted pixels",
            verdict(0 < peak < 1 and mean(spare[peak]) > 1.1 * mean(spare[1.0]), 0 < peak < 1),
            f"forgotten, by share permuted: {listed(spare)}",
        ),
        Claim(
            "one with few spare parameters forgets the more, the more pixels are permuted",
            verdict(rising == sorted(rising), rising[-1] == max(rising)),
            f"forgotten, by share permuted: {listed(full)}",
        ),
    ]
    curves: dict[str, Any] = {f"{s:g} features a sample": row for s, row in linear.items()}
    curves |= {f"form, {s:g}": {of: [expected(of, s)] for of in CHANGED} for s in (SPARE[0], SPARE[2], SPARE[-1])}
    few = {"measured": linear[SPARE[0]], "form": {of: [expected(of, SPARE[0])] for of in CHANGED}}
    panels = [
        Panel(f"{SPARE[0]:g} features a sample", "share of features turned", "forgotten", few),
        Panel("two regressions", "share of features turned", "forgotten", curves),
        Panel("networks", "share of pixels permuted", "forgotten", {"spare parameters": spare, "few to spare": full}),
    ]
    line = fit("line", full, "networks", "few to spare")
    claims[3] = Claim(
        claims[3].says, claims[3].seen, f"{claims[3].figure}; slope {line.said('slope')}, {said([line.r2])} R²"
    )
    return reported(claims, panels, [line], MEANS)


def _network(name: str, seed: int) -> dict[str, float]:
    import torch

    from mnemos.bench.laws.networks import error, fitted
    from mnemos.bench.parametric.learning.lives import perceptron

    units, count, noise, rate = NETWORKS[name]
    rng = torch.Generator().manual_seed(seed)
    x, y = _images(count, noise, rng)
    found = {}
    for share in PIXELS:
        total = 0.0
        for _ in range(PERMUTATIONS):
            net = perceptron((SIDE * SIDE, units, CLASSES), seed)
            fitted(net, x, y, STEPS, rate, ENOUGH)
            where = torch.randperm(SIDE * SIDE, generator=rng)[: round(share * SIDE * SIDE)]
            order = torch.arange(SIDE * SIDE)
            order[where] = where[torch.randperm(len(where), generator=rng)]
            fitted(net, x[:, order], y, STEPS, rate, ENOUGH)
            total += error(net, x, y) / float(y.square().mean())
        found[f"{share:g}"] = total / PERMUTATIONS
    return found


def _images(count: int, noise: float, rng: Any) -> tuple[Any, Any]:
    """Return smooth pictures of classes with noise on them (N, pixels), and labels (N, classes) of mean 0."""
    import torch
    from torch.nn import functional

    drawn = functional.pad(torch.randn(CLASSES, 1, SIDE, SIDE, generator=rng), (1, 1, 1, 1), mode="circular")
    smooth = 3 * functional.avg_pool2d(drawn, 3, 1).flatten(1)
    kinds = torch.arange(count) % CLASSES
    x = smooth[kinds] + noise * torch.randn(count, SIDE * SIDE, generator=rng)
    return x, functional.one_hot(kinds, CLASSES).float() - 1 / CLASSES
