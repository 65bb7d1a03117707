"""The parts of `mnemos bench testtime` that run memories as they are, without a network around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.bench.neural.testtime import Options
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.progress import Progress
from mnemos.neural.linear.features import taylor
from mnemos.neural.testtime.chunked import Told, chunk_step
from mnemos.neural.testtime.rule import Rule

DRAWS = 64  # memories of a figure
STEPS = (0.05, 0.1, 0.2, 0.4, 0.8)  # of which the best is taken, on other draws


def learned(
    rule: Rule, keys: Tensor, values: Tensor, step: float, eta: float = 0.5, limit: float = 1.0, gamma: float = 1.0
) -> Tensor:
    """Return the matrix (N, K, V) after pairs (N, P, .) were read one by one, with fixed gates."""
    N, P, before = len(keys), keys.shape[1], rule.window - 1
    k, v = (F.pad(t, (0, 0, before, 0))[:, None] for t in (keys, values))

    def gate(value: float) -> Tensor:
        return F.pad(torch.full((N, 1, P, 1), value), (0, 0, before, 0))

    told = Told(k, k, v, gate(step), gate(gamma), gate(limit), gate(0.0), gate(eta).clamp_min(1e-9).log(), gate(1.0))
    start = torch.zeros(N, 1, keys.shape[2], values.shape[2])
    weights, momenta = [start], [start]
    for t in range(P):
        part = Told(*(getattr(told, name)[:, :, t : t + before + 1] for name in Told.__slots__))
        _, weights, momenta = chunk_step(rule, part, before, [torch.zeros_like(start)], weights, weights, momenta)
    return weights[0][:, 0]


def drawn(count: int, pairs: int, channels: int, rng: torch.Generator, alike: float = 0.0) -> Tensor:
    """Return keys of length 1, which have a share of one direction in common."""
    keys = F.normalize(torch.randn(count, pairs, channels, generator=rng), dim=-1)
    common = F.normalize(torch.randn(count, 1, channels, generator=rng), dim=-1)
    return F.normalize((1 - alike) * keys + alike * common, dim=-1)


def error(W: Tensor, keys: Tensor, values: Tensor, counted: Tensor | None = None) -> float:
    """Return the squared error of what is read, as a share of the squares of the values."""
    missing, whole = (keys @ W - values).square().sum(-1), values.square().sum(-1)
    if counted is not None:
        missing, whole = missing * counted, whole * counted
    return float(missing.sum() / whole.sum())


def outliers(seed: int) -> dict[str, dict[str, float]]:
    """Return the error on ordinary pairs with and without outliers among them."""
    rng, found = torch.Generator().manual_seed(seed), {}
    keys, values = drawn(DRAWS, 12, 16, rng), torch.randn(DRAWS, 12, 8, generator=rng)
    loud = torch.rand(DRAWS, 12, generator=rng) < 0.15
    shouted = torch.where(loud[..., None], 20 * values, values)
    for name, loss in (("squared loss", "l2"), ("Huber loss", "huber")):
        rule = Rule(loss=loss)  # type: ignore[arg-type]
        calm, with_them = (learned(rule, keys, v, 0.8) for v in (values, shouted))
        found[name] = {
            "error, no outliers": error(calm, keys, values, ~loud),
            "error, with outliers": error(with_them, keys, values, ~loud),
        }
    return found


def capacity(seed: int) -> dict[str, dict[str, float]]:
    """Return up to how many pairs nine of ten are named right, of 64 values, by the delta rule in eight passes."""
    rng, found = torch.Generator().manual_seed(seed), {}
    for name, value, products in (("8 channels", 90, False), ("8 channels, products of two", 16, True)):
        most = 0
        for pairs in (2, 4, 6, 8, 12, 16, 24, 32, 48):
            book = torch.randn(64, value, generator=rng)
            keys, which = drawn(DRAWS, pairs, 8, rng), torch.randint(64, (DRAWS, pairs), generator=rng)
            keys = taylor(keys) * 2.5**-0.5 if products else keys
            read = keys @ learned(Rule(), keys.repeat(1, 8, 1), book[which].repeat(1, 8, 1), 1.0)
            right = (F.normalize(read, dim=-1) @ F.normalize(book, dim=-1).T).argmax(-1) == which
            if float(right.float().mean()) < 0.9:
                break
            most = pairs
        found[name] = {"pairs": float(most), "state": float(keys.shape[-1] * value)}
    return found


def inner(seed: int) -> dict[str, dict[str, float]]:
    """Return the error on true values, for keys that are alike and values with noise, each pair shown four times."""
    rules: dict[str, Callable[[], Rule]] = {
        "gradient": lambda: Rule(optimiser="gradient"),
        "gradient, window 4": lambda: Rule(optimiser="gradient", window=4),
        "gradient, window 8": lambda: Rule(optimiser="gradient", window=8),
        "momentum": lambda: Rule(optimiser="momentum"),
        "orthogonal (Muon)": lambda: Rule(optimiser="muon"),
        "orthogonal (Muon), window 4": lambda: Rule(optimiser="muon", window=4),
        "orthogonal (Muon), window 8": lambda: Rule(optimiser="muon", window=8),
    }
    found = {}
    for name, make in rules.items():
        by_step = {step: noisy(make(), step, 1000 + seed) for step in STEPS}
        step = min(by_step, key=lambda s: by_step[s])
        found[name] = {"error": noisy(make(), step, seed), "step": step}
    return found


def noisy(rule: Rule, step: float, seed: int) -> float:
    """Return the error of a rule with a step size."""
    rng = torch.Generator().manual_seed(seed)
    keys, values = drawn(DRAWS, 8, 16, rng, alike=0.4), torch.randn(DRAWS, 8, 8, generator=rng)
    order = torch.cat([torch.rand(DRAWS, 8, generator=rng).argsort(1) for _ in range(4)], 1)
    shown_keys, shown = (t.gather(1, order[..., None].expand(-1, -1, t.shape[2])) for t in (keys, values))
    W = learned(rule, shown_keys, shown + torch.randn(shown.shape, generator=rng), step / rule.window)
    return min(error(W, keys, values), 1e3)


def measure(part: str, options: Options, progress: Progress) -> dict[str, Any]:
    """Return the rows of a part."""
    progress.expect(options.seeds)
    make, by_seed = {"outliers": outliers, "capacity": capacity, "inner": inner}[part], []
    for seed in range(options.seeds):
        by_seed.append(make(seed))
        progress(1)
    return {row: over_seeds([found[row] for found in by_seed], ("step", "state")) for row in by_seed[0]}
