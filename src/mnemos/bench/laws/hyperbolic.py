"""Trees in hyperbolic space, and how far out its models can hold a point (arXiv 2211.00181).

In float64 the ball holds a point to a radius of about 38, where tanh(r / 2) becomes 1; the Lorentz sheet to about 19, where
cosh(r)^2 - sinh(r)^2 is no longer 1. Free Euclidean numbers z stand for the point that the exponential map at the origin sends
them to, and `distances` between such points is written without a difference of large numbers. A binary tree of depth 8 is
embedded so in 2 and 5 dimensions, level by level, each node beginning near its parent; beside it steps on the Lorentz sheet
itself, and a flat space. All are to have the tree's distances. Parent and children, which these find, are asked for instead of
the paper's ancestors.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnemos.bench.laws.claims import Claim, Panel, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("2211.00181",)
MEANS = (
    "a tree of topics fits into a few hyperbolic dimensions if its points are kept as free Euclidean numbers, with which nothing "
    "overflows; `mnemos.index` stays flat, since its vectors are hundreds of numbers long."
)
DEPTH, DIMENSIONS, EDGE = 8, (2, 5), 1.0  # of the tree; of the spaces; length of an edge in hyperbolic space
STEPS, PAIRS = 3000, 4096
MODELS = {"Euclidean parameters": 0.1, "Lorentz": 0.2, "flat": 0.1}  # rates, the better of .1 and .2 on seed 100
RADII = np.arange(0.5, 60, 0.5)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return hyperbolic distances (...) of points that are given by Euclidean parameters (..., D), without a cancellation.

    cosh d = cosh(r - s) + 2 sinh r sinh s sin^2(angle / 2), and 2 asinh sqrt of half of cosh d - 1 is d.
    """
    r, s = (x.square().sum(-1).clamp_min(1e-24).sqrt() for x in (a, b))
    half = (a / r[..., None] - b / s[..., None]).square().sum(-1) / 4  # sin^2 of half the angle
    square = ((r - s) / 2).sinh().square() + r.sinh() * s.sinh() * half
    return 2 * square.clamp_min(1e-24).sqrt().asinh()


def tree(depth: int) -> tuple[Tensor, Tensor]:
    """Return the distances of all nodes of a balanced binary tree (N, N), and which are parent and child (N, N)."""
    count = 2 ** (depth + 1) - 1
    above = np.zeros((count, depth + 1), int) - 1  # ancestors of each node, itself first
    levels = np.zeros(count, int)
    for node in range(count):
        at, found = node, [node]
        while at:
            at = (at - 1) // 2
            found.append(at)
        levels[node] = len(found) - 1
        above[node, : len(found)] = found[::-1]
    common = (above[:, None] == above[None]) & (above[:, None] >= 0)
    shared = np.cumprod(common, axis=-1).sum(-1) - 1
    apart = torch.tensor(levels[:, None] + levels[None] - 2 * shared, dtype=torch.double)
    return apart, apart == 1


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    apart, near = tree(DEPTH)
    found: dict[str, Any] = {"overflow": overflow(), "trees": {}}
    for dimensions in DIMENSIONS:
        for model in MODELS:
            found["trees"][f"{model} {dimensions}"] = _embedded(model, dimensions, apart, near, seed)
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    far, trees = figures["overflow"], figures["trees"]
    ball, sheet = 54 * log(2), 27.5 * log(2)  # 2 exp(-r) = 2^-53; exp(2 r) / 4 = 2^53
    by = {m: {d: trees[f"{m} {d}"] for d in DIMENSIONS} for m in MODELS}
    free, lorentz, flat = (by[m] for m in MODELS)
    shown = {of: ", ".join(f"{key}: {said(row[of])}" for key, row in trees.items()) for of in ("distortion", "MAP")}
    claims = [
        Claim(
            "a ball holds points twice as far out as a sheet: to about 38 and 19",
            verdict(abs(mean(far["ball"]) - ball) < 1.5 and abs(mean(far["sheet"]) - sheet) < 1.5),
            f"ball {mean(far['ball']):.1f} (theory {ball:.1f}), sheet {mean(far['sheet']):.1f} ({sheet:.1f}), "
            f"Euclidean parameters {mean(far['parameters']):.0f} or more",
        ),
        Claim(
            "with Euclidean parameters nothing is ever undefined",
            verdict(not any(any(row["undefined"]) for row in free.values())),
            "steps with an undefined number: " + ", ".join(f"{key}: {said(row['undefined'], 0)}" for key, row in trees.items()),
        ),
        Claim(
            "they embed a tree no worse than steps on the sheet",
            verdict(all(mean(free[d]["distortion"]) < 1.05 * mean(lorentz[d]["distortion"])
                        and mean(free[d]["MAP"]) > 0.98 * mean(lorentz[d]["MAP"]) for d in DIMENSIONS)),
            f"mean distortion {shown['distortion']}",
        ),
        Claim(
            "and better than a flat space of the same dimensions",
            verdict(all(mean(free[d][of]) * sign < mean(flat[d][of]) * sign for d in DIMENSIONS
                        for of, sign in (("distortion", 1), ("MAP", -1)))),
            f"mean average precision of parent and children {shown['MAP']}",
        ),
    ]  # fmt: skip
    curves = {
        f"{m}, {d} dimensions": {int(s): v for s, v in by[m][d]["curve"].items()} for m in MODELS for d in DIMENSIONS
    }
    errors = {
        name: {float(r): of for r, of in far[f"{name} error"].items() if min(of) > 0}  # some are 0 by chance
        for name in ("ball", "sheet")
    }
    panels = [
        Panel("a point by its radius", "radius", "error", errors, log_y=True),
        Panel(f"a tree of depth {DEPTH}", "step", "mean distortion", curves, log_y=True),
    ]
    grows = {r: of for r, of in errors["sheet"].items() if 2 <= r <= 18}
    return reported(claims, panels, [fit("exponential", grows, panels[0].title, "sheet")], MEANS)


def overflow() -> dict[str, Any]:
    """Return how wrong a point is by its radius, and the largest radius at which each model holds it.

    The ball: by how much the radius that is read back is off. The sheet: by how much the form that is -1 is off.
    """
    with np.errstate(all="ignore"):
        errors = {
            "ball": np.abs(2 * np.arctanh(np.tanh(RADII / 2)) / RADII - 1),
            "sheet": np.abs(np.sinh(RADII) ** 2 - np.cosh(RADII) ** 2 + 1),
        }
    found: dict[str, Any] = {}
    for name, error in errors.items():
        error = np.where(np.isfinite(error), np.minimum(error, 1e3), 1e3)
        found[name] = float(RADII[int((error >= 1).argmax()) - 1])
        found[f"{name} error"] = {f"{r:g}": float(e) for r, e in zip(RADII, error, strict=True)}
    z = torch.tensor([[r, 0.0] for r in (*RADII.tolist(), 300.0)], dtype=torch.double)
    right = (distances(z, -z) / (2 * z[:, 0]) - 1).abs() < 1e-9
    found["parameters"] = float(z[right, 0].max())
    return found


def _embedded(model: str, dimensions: int, apart: Tensor, near: Tensor, seed: int) -> dict[str, Any]:
    """Return mean distortion and mean average precision of an embedded tree, and steps at which a number was undefined."""
    rng = torch.Generator().manual_seed(seed)
    count = len(apart)
    z = 0.1 * torch.randn(count, dimensions, generator=rng, dtype=torch.double)
    space = _Sheet(z) if model == "Lorentz" else _Free(z, distances if model != "flat" else _straight)
    undefined, curve, known = 0, {}, 3  # nodes so far: the root and its children
    for step in range(STEPS):
        part = STEPS // (
            2 * DEPTH
        )  # a level of the tree joins every so many steps, near its parents, in the first half
        if step and step % part == 0 and known < count:
            space.join(
                known, 2 * known + 1, 0.1 * torch.randn(known + 1, dimensions, generator=rng, dtype=torch.double)
            )
            known = 2 * known + 1
        a = torch.randint(known, (PAIRS,), generator=rng)
        b = (a + torch.randint(1, known, (PAIRS,), generator=rng)) % known
        undefined += not space.step(a, b, EDGE * apart[a, b], MODELS[model] * min(1.0, 2 - 2 * step / STEPS))
        if known == count and step % 250 == 249:
            curve[step + 1] = _distortion(space, apart)
    with torch.no_grad():
        found = space.all()
    return {
        "distortion": _distortion(space, apart),
        "MAP": _precision(found, near),
        "undefined": undefined,
        "curve": curve,
    }


def _distortion(space: Any, apart: Tensor) -> float:
    """Return the mean of |d / d_tree - 1| over pairs, at the scale that is best for it in squares."""
    with torch.no_grad():
        ratio = (space.all() / apart)[apart > 0]
        return float((ratio * ratio.mean() / ratio.square().mean() - 1).abs().mean())


def _precision(found: Tensor, near: Tensor) -> float:
    order = found.fill_diagonal_(float("inf")).nan_to_num(float("inf")).argsort(1)
    hits = near.gather(1, order).double()
    at = hits.cumsum(1) / torch.arange(1, len(near) + 1)
    return float(((at * hits).sum(1) / hits.sum(1)).mean())


def _straight(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(-1).clamp_min(1e-24).sqrt()


def _wrong(found: Tensor, wanted: Tensor) -> Tensor:
    return (found / wanted - 1).square().mean()


class _Free:
    """Points by free numbers, moved by Adam."""

    def __init__(self, z: Tensor, apart: Any) -> None:
        self.z, self.apart = z.requires_grad_(True), apart
        self.optimizer = torch.optim.Adam([self.z])

    def step(self, a: Tensor, b: Tensor, wanted: Tensor, rate: float) -> bool:
        """Move points by a step; return whether all numbers were defined."""
        self.optimizer.param_groups[0]["lr"] = rate
        loss = _wrong(self.apart(self.z[a], self.z[b]), wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return bool(self.z.detach().isfinite().all())

    def join(self, first: int, last: int, near: Tensor) -> None:
        """Put nodes near their parents."""
        with torch.no_grad():
            self.z[first:last] = self.z[(torch.arange(first, last) - 1) // 2] + near

    def all(self) -> Tensor:
        """Return the distances of all pairs (N, N)."""
        return self.apart(self.z[:, None], self.z[None])


class _Sheet:
    """Points on the Lorentz sheet (N, 1 + D), moved along it; steps are scaled by each point's own mean square (RAMSGrad)."""

    def __init__(self, z: Tensor) -> None:
        r = z.norm(dim=-1, keepdim=True)
        self.x, self.square = torch.cat([r.cosh(), r.sinh() * z / r], 1), torch.zeros(len(z), 1, dtype=z.dtype)

    def step(self, a: Tensor, b: Tensor, wanted: Tensor, rate: float) -> bool:
        """Move points by a step; return whether all numbers were defined. Undefined ones stay where they were."""
        x = self.x.clone().requires_grad_(True)
        _wrong((-_form(x[a], x[b])).clamp_min(1 + 1e-12).acosh(), wanted).backward()
        slope = torch.cat([-x.grad[:, :1], x.grad[:, 1:]], 1)
        slope = slope + _form(self.x, slope)[:, None] * self.x
        size = _form(slope, slope).clamp_min(0)[:, None]
        self.square = 0.99 * self.square + 0.01 * size
        move = -rate * slope / (self.square.sqrt() + 1e-12)
        length = _form(move, move).clamp_min(1e-24).sqrt().clamp_max(1.0)[:, None]
        moved = length.cosh() * self.x + length.sinh() * move / _form(move, move).clamp_min(1e-24).sqrt()[:, None]
        moved = torch.cat([(1 + moved[:, 1:].square().sum(-1, keepdim=True)).sqrt(), moved[:, 1:]], 1)
        fine = moved.isfinite().all(-1, keepdim=True)
        self.x = torch.where(fine, moved, self.x)
        return bool(fine.all())

    def join(self, first: int, last: int, near: Tensor) -> None:
        """Put nodes near their parents."""
        space = self.x[(torch.arange(first, last) - 1) // 2, 1:]
        length = space.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        space = space + near * length.clamp_min(1)
        self.x[first:last] = torch.cat([(1 + space.square().sum(-1, keepdim=True)).sqrt(), space], 1)

    def all(self) -> Tensor:
        """Return the distances of all pairs (N, N); 0 where the form is above -1."""
        return (-_form(self.x[:, None], self.x[None])).clamp_min(1).acosh()


def _form(a: Tensor, b: Tensor) -> Tensor:
    products = a * b
    return products[..., 1:].sum(-1) - products[..., 0]
