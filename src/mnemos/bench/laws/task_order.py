"""What is forgotten of tasks in a row, and the order that forgets least (arXiv 2302.05836): `parametric.consolidate.task_order`.

Five linear regressions are solved in turn, each with the least change from the one before. Their mean forgetting and their mean
error at the end are compared with the closed form, by parameters and by noise. Then one task of five is unlike the others, and
all are learned in the order that the form calls best and in the one that it calls worst: by regressions, and by a perceptron
with two layers that is trained on each task. The form knows the tasks' weights by ridge regressions on the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.laws.claims import Claim, Panel, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.networks import error, fitted
from mnemos.bench.parametric.learning.lives import perceptron
from mnemos.bench.registry import Figure
from mnemos.parametric.consolidate.task_order import best_order, estimated_tasks, expected_errors

PAPERS = ("2302.05836",)
MEANS = (
    "learn what is unlike the rest first: `parametric.consolidate.task_order.best_order` chooses the order of tasks from ridge "
    "estimates of each (`estimated_tasks`)."
)
TASKS, SAMPLES, DIMENSIONS = 5, 40, 10  # of the truths; features beyond DIMENSIONS carry nothing
FEATURES, NOISES = (50, 60, 80, 120, 200, 400), (0.0, 0.5)
DRAWS = 400  # of the inputs
AT = 80  # features at which orders are compared
UNITS, STEPS, RATE, WORLDS = 100, 300, 3e-3, 6  # of the perceptron; tasks that are drawn for it


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = torch.Generator().manual_seed(seed)
    truths = _tasks(rng, outlier=False)
    cells: dict[str, Any] = {}
    for noise in NOISES:
        for features in FEATURES:
            cells[f"{features} {noise:g}"] = _compared(truths, features, noise, rng)
    orders: dict[str, Any] = {"regressions": {"best": 0.0, "worst": 0.0}, "perceptron": {"best": 0.0, "worst": 0.0}}
    last = 0
    for _ in range(WORLDS):
        tasks = [_drawn(truth, AT, 0.1, rng) for truth in _tasks(rng, outlier=True)]
        guesses = estimated_tasks(tasks)
        for name, is_worst in (("best", False), ("worst", True)):
            order = best_order(guesses, AT, SAMPLES, worst=is_worst)
            last += order[-1] == 2 and is_worst
            chosen = [tasks[i] for i in order]
            orders["regressions"][name] += _forgotten_in_turn(chosen) / WORLDS
            orders["perceptron"][name] += _forgotten_by_network(chosen, seed) / WORLDS
    return {"cells": cells, "orders": orders, "outlier last in the worst": last / WORLDS}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    cells = {tuple(map(float, key.split())): row for key, row in figures["cells"].items()}
    off = {  # forgetting may be 0, so it is compared with the error that it is a change of
        of: max(abs(mean(row[of]) - mean(row[f"{of}, form"])) / mean(row["error, form"]) for row in cells.values())
        for of in ("error", "forgotten")
    }
    orders, names = figures["orders"], ("best", "worst")
    quiet = {p: row["error"] for (p, noise), row in cells.items() if not noise}
    noisy = {p: row["error"] for (p, noise), row in cells.items() if noise}
    least = min(noisy, key=lambda p: mean(noisy[p]))
    claims = [
        Claim(
            "error and forgetting are what the closed form says, within 5 %",
            verdict(max(off.values()) < 0.05, off["error"] < 0.05),
            f"off by {100 * off['error']:.1f} % (error) and {100 * off['forgotten']:.1f} % of the error (forgetting) at most, "
            f"means of {DRAWS} draws and all seeds, {len(cells)} cells",
        ),
        Claim(
            "more parameters help where labels are noisy, and hurt afterwards",
            verdict(FEATURES[0] < least < FEATURES[-1]),
            f"error by features, noise {NOISES[1]:g}: " + ", ".join(f"{p:g}: {said(v)}" for p, v in noisy.items()),
        ),
        *(
            Claim(
                f"the best order forgets less than the worst: {of}",
                verdict(all(b < w for b, w in zip(*(orders[of][name] for name in names), strict=True))),
                ", ".join(f"{name}: {said(orders[of][name])}" for name in names),
            )
            for of in orders
        ),
        Claim(
            "the worst order ends with the task that is unlike the others",
            verdict(mean(figures["outlier last in the worst"]) > 0.9),
            f"in {100 * mean(figures['outlier last in the worst']):.0f} % of the drawn tasks",
        ),
    ]
    curves = {"no noise": quiet, f"noise {NOISES[1]:g}": noisy}
    forms = {f"form, {name}": {p: row["error, form"] for (p, n), row in cells.items() if bool(n) == is_noisy}
             for name, is_noisy in (("no noise", False), ("noise", True))}  # fmt: skip
    bars = {of: {i: orders[of][name] for i, name in enumerate(names)} for of in orders}
    against: dict[str, dict[float, Any]] = {"means over draws": {}}
    for row in cells.values():
        for form, simulated in zip(row["error, form"], row["error"], strict=True):
            against["means over draws"][form] = [simulated]
    panels = [
        Panel("closed form", "error that it expects", "error", against),
        Panel("five regressions in turn", "features (40 samples)", "mean error of all tasks", curves | forms, log=True),
        Panel("order", "", "forgotten", bars, ticks=names),
    ]
    agree = fit("line", against["means over draws"], "closed form", "means over draws")
    forgets = {of: {name: said(orders[of][name]) for name in names} for of in orders}
    measured = Figure(
        f"forgets {forgets['regressions']['best']} where five regressions learn one task that is unlike the others, in squared "
        f"error, and {forgets['perceptron']['best']} where a perceptron does",
        {"the worst order": f"{forgets['regressions']['worst']} and {forgets['perceptron']['worst']}"},
    )
    return reported(claims, panels, [agree], MEANS, {"parametric/task-order": measured})


def _tasks(rng: Any, outlier: bool) -> Tensor:
    """Return the weights of five tasks (T, D) near each other; the third may be unlike the others."""
    common = torch.randn(DIMENSIONS, generator=rng, dtype=torch.double)
    truths = common + 0.5 * torch.randn(TASKS, DIMENSIONS, generator=rng, dtype=torch.double)
    if outlier:
        truths[2] = -common
    return truths / DIMENSIONS**0.5


def _drawn(truth: Tensor, features: int, noise: float, rng: Any) -> tuple[Tensor, Tensor]:
    x = torch.randn(SAMPLES, features, generator=rng, dtype=torch.double)
    return x, x[:, : len(truth)] @ truth + noise * torch.randn(SAMPLES, generator=rng, dtype=torch.double)


def _compared(truths: Tensor, features: int, noise: float, rng: Any) -> dict[str, float]:
    """Return mean error and forgetting of regressions in turn, and what the form expects."""
    padded = torch.zeros(TASKS, features, dtype=torch.double)
    padded[:, :DIMENSIONS] = truths
    x = torch.randn(TASKS, DRAWS, SAMPLES, features, generator=rng, dtype=torch.double)
    w, rows = torch.zeros(DRAWS, features, dtype=torch.double), []
    for t in range(TASKS):
        y = x[t] @ padded[t] + noise * torch.randn(DRAWS, SAMPLES, generator=rng, dtype=torch.double)
        w = _solved(w, x[t], y)
        rows.append((w[:, None] - padded).square().sum(-1).mean(0))
    found = {}
    for name, errors in (("", torch.stack(rows)), (", form", expected_errors(padded, features, SAMPLES, noise))):
        found[f"error{name}"] = float(errors[-1].mean())
        found[f"forgotten{name}"] = float((errors[-1] - errors.diagonal())[:-1].mean())
    return found


def _solved(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the weights (..., D) nearest to w that solve x w = y."""
    left = (y - (x @ w[..., None])[..., 0])[..., None]
    return w + (x.mT @ torch.linalg.solve(x @ x.mT, left))[..., 0]


def _forgotten_in_turn(tasks: list[tuple[Tensor, Tensor]]) -> float:
    """Return how much the squared error of tasks but the last grows to the end, when regressions solve them in turn."""
    w = torch.zeros(AT, dtype=torch.double)
    for x, y in tasks:
        w = _solved(w, x, y)
    return float(torch.stack([(x @ w - y).square().mean() for x, y in tasks[:-1]]).mean())


def _forgotten_by_network(tasks: list[tuple[Tensor, Tensor]], seed: int) -> float:
    net = perceptron((AT, UNITS, 1), seed).double()
    learned = [fitted(net, x, y[:, None], STEPS, RATE, 1e-3) for x, y in tasks]
    now = [error(net, x, y[:, None]) for x, y in tasks]
    return fmean(b - a for a, b in zip(learned[:-1], now[:-1], strict=True))
