"""How clearly a memory reads, by how many pairs it holds and by its kernel (arXiv 2505.19488): `neural.associative.signal`.

Keys and values are standard normal, keys of length sqrt(d). A memory reads o = sum_i k(q, k_i) v_i for each of its own keys, and
the meter takes the part of o along the value as signal and the rest as noise. Theory: 1 / SNR is N / d for the linear kernel, and
N E[k(q, k_i)^2] / k(q, q)^2 for any other. Then a key is written again with another value: by adding, and by the delta rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, sqrt
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.neural.associative.signal import signal_to_noise
from mnemos.neural.linear.rules import additive_naive, delta_naive

PAPERS = ("2505.19488",)
MEANS = (
    "a matrix memory is full at about as many pairs as its keys have channels, a softmax read is not: "
    "`neural.associative.signal.signal_to_noise` tells of any memory how clearly it still reads, and a delta rule overwrites "
    "(`neural.linear`) where adding blurs."
)
WIDTH, SIZES = 64, (16, 32, 64, 128, 256, 512, 1024)
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda s: s,
    "ReLU": lambda s: s.clamp_min(0),
    "cubic": lambda s: s**3,
    "exponential": lambda s: (s * sqrt(WIDTH)).exp(),
}  # of the cosine of a query and a key


def theory(kernel: str, pairs: int) -> float:
    """Return 1 / SNR of a kernel: cosines of other keys are normal with variance 1 / d."""
    square = {"linear": 1 / WIDTH, "ReLU": 0.5 / WIDTH, "cubic": 15 / WIDTH**3, "exponential": exp(2 - 2 * sqrt(WIDTH))}
    return (pairs - 1) * square[kernel]


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = torch.Generator().manual_seed(seed)
    found: dict[str, Any] = {name: {} for name in KERNELS}
    for size in SIZES:
        keys, values = (torch.randn(size, WIDTH, generator=rng, dtype=torch.double) for _ in range(2))
        keys = torch.nn.functional.normalize(keys, dim=-1)
        for name, kernel in KERNELS.items():
            found[name][size] = 1 / signal_to_noise(lambda q: kernel(q @ keys.T) @ values, keys, values)  # noqa: B023
    return {"noise": found, "overwritten": _overwritten(rng)}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    noise = {name: {int(n): v for n, v in row.items()} for name, row in figures["noise"].items()}
    slope = fit("line", noise["linear"], "noise of a read", "linear")
    off = slope.value("slope") * WIDTH - 1
    sizes = {name: fmean(mean(v) / theory(name, n) for n, v in row.items()) for name, row in noise.items()}
    last = {name: noise[name][SIZES[-1]] for name in KERNELS}
    measured = sorted(KERNELS, key=lambda name: mean(last[name]))
    expected = sorted(KERNELS, key=lambda name: theory(name, SIZES[-1]))
    wrong = figures["overwritten"]
    claims = [
        Claim(
            "1 / SNR of the linear kernel is a line in the pairs of slope 1 / d",
            verdict(abs(off) < 0.05 and slope.r2 > 0.99, abs(off) < 0.15),
            f"slope x d {1 + off:.3f}, slope {slope.said('slope')}, R² {slope.r2:.3f}",
        ),
        Claim(
            "that of the exponential kernel stays near 0 for many more pairs than channels",
            verdict(mean(last["exponential"]) < 0.01),
            f"{SIZES[-1]} pairs, {WIDTH} channels: {listed(last, 4)}",
        ),
        Claim(
            "kernels are ordered as theory has them, and of the size that it has",
            verdict(measured == expected and all(0.8 < e < 1.25 for e in sizes.values()), measured == expected),
            f"from the clearest: {', '.join(measured)}; measured over theory: "
            + ", ".join(f"{name} {e:.2f}" for name, e in sizes.items()),
        ),
        Claim(
            "a key that is written again reads the new value by the delta rule, and the sum of both where pairs are added",
            verdict(max(wrong["delta rule"]) < 1e-6 and max(wrong["added, from the sum"]) < 1e-6),
            f"error of the new value, in its own square: {listed({k: wrong[k] for k in ('delta rule', 'added')}, 3)}",
        ),
    ]  # fmt: skip
    panels = [Panel("noise of a read", "pairs", "1 / SNR", noise, log=True, log_y=True)]
    return reported(claims, panels, [slope], MEANS)


def _overwritten(rng: Any) -> dict[str, float]:
    """Return how far a read of a key is from its second value, when orthogonal keys are written twice."""
    keys = torch.linalg.qr(torch.randn(WIDTH, 16, generator=rng, dtype=torch.double)).Q.T
    old, new = torch.randn(2, 16, WIDTH, generator=rng, dtype=torch.double)
    k, v = (torch.cat(pair)[None, None] for pair in ((keys, keys), (old, new)))
    ones, S = torch.ones(1, 1, len(k[0, 0]), 1, dtype=torch.double), torch.zeros(1, 1, WIDTH, WIDTH, dtype=torch.double)
    reads = {
        "added": keys @ additive_naive(k, k, v, 0 * ones, S)[1][0, 0],
        "delta rule": keys @ delta_naive(k, k, v, 0 * ones, ones, S)[1][0, 0],
    }

    def off(read: Tensor, value: Tensor) -> float:
        return float((read - value).square().sum() / value.square().sum())

    return {name: off(read, new) for name, read in reads.items()} | {
        "added, from the sum": off(reads["added"], old + new)
    }
