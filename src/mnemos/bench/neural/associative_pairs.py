"""Factors, keys, samples and temperatures: parts of `mnemos bench associative` that train nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.associative.kernel_regression import NoveltyGatedRegression
from mnemos.neural.associative.resonator import Resonator, bind
from mnemos.neural.associative.separate_keys import SeparateKeys
from mnemos.neural.associative.temperature import condensation, normal_sums, participation, read_temperature

SEEN = {"values": "the value is its own key", "raw": "raw keys", "whitened": "whitened keys", "sparse": "sparse codes"}
NOISES = (0.3, 0.6, 0.9)  # of cues, in standard deviations of a channel


def resonator(options: Any) -> dict[str, Row]:
    """Return products factored within 200 rounds, and the rounds that half of them took at most, by size of three codebooks."""

    def run(size: int, seed: int) -> dict[str, float]:
        books = [torch.randint(2, (size, 1000), generator=rng(10 * seed + f)).float() * 2 - 1 for f in range(3)]
        chosen = torch.randint(size, (40, 3), generator=rng(seed + 99))
        found = {}
        for name, attention in (("attention", True), ("classical", False)):
            factors = Resonator(books, attention, rounds=200, seed=seed).factor(bind(books, chosen))
            found[f"{name} %"] = float((factors.chosen == chosen).all(1).double().mean())
            found[f"{name}, median rounds"] = float(factors.rounds.double().median())
        return found

    return {f"{n} rows": seeded(options.seeds, lambda seed, n=n: run(n, seed)) for n in (20, 40, 60, 80, 100, 120)}  # type: ignore[misc]


def keys(options: Any) -> dict[str, Row]:
    """Return pairs whose value is the nearest to what is read, by how alike keys are and how the memory sees them."""

    def run(seen: str, damage: float, seed: int) -> dict[str, float]:
        found = {}
        for common in (0.0, 0.5, 0.8):
            own = torch.randn(48, 64, generator=rng(seed))
            alike = math.sqrt(common) * torch.randn(1, 64, generator=rng(seed + 1)) + math.sqrt(1 - common) * own
            values = torch.nn.functional.normalize(torch.randn(48, 64, generator=rng(seed + 2)), dim=-1)
            memory = SeparateKeys(64, 64, "raw" if seen == "values" else seen, seed=seed)  # type: ignore[arg-type]
            if seen == "values":  # one vector is both: the memory is asked with the content itself
                values = alike
            memory.write(alike, values)
            cues = alike + damage * torch.randn(48, 64, generator=rng(seed + 3))
            found[f"alike {common:g} %"] = named(memory.read(cues), values)
        return found

    return {
        f"{name}, cues with noise {noise:g}": seeded(options.seeds, lambda seed, s=seen, n=noise: run(s, n, seed))  # type: ignore[misc]
        for seen, name in SEEN.items()
        for noise in (0.0, 0.3)
    }  # fmt: skip


def named(read: Tensor, values: Tensor) -> float:
    """Return the share of reads that are nearest to their own value, all brought to the same mean."""
    scores = torch.nn.functional.normalize(read, dim=-1) @ torch.nn.functional.normalize(values, dim=-1).T
    return float((scores.argmax(1) == torch.arange(len(values))).double().mean())


def retrieval(options: Any) -> dict[str, Row]:
    """Return items lost under a poor cue, and how many of those a better cue brings back: stored, but not reached."""

    def run(noise: float, seed: int) -> dict[str, float]:
        alike = torch.randn(1, 64, generator=rng(seed)) + torch.randn(48, 64, generator=rng(seed + 1))
        values = torch.nn.functional.normalize(torch.randn(48, 64, generator=rng(seed + 2)), dim=-1)
        memory = SeparateKeys(64, 64)
        memory.write(alike, values)
        right = []
        for size in (noise, noise / 4):
            cues = alike + size * torch.randn(48, 64, generator=rng(seed + 3))
            right.append((memory.read(cues) @ values.T).argmax(1) == torch.arange(48))
        lost = ~right[0]
        back = float((right[1] & lost).sum() / lost.sum()) if bool(lost.any()) else 1.0
        return {"lost under the cue %": float(lost.double().mean()), "of these back with a cue 4 × as clear %": back}

    return {f"noise {n:g}": seeded(options.seeds, lambda seed, n=n: run(n, seed)) for n in (0.5, 1.0, 1.5)}  # type: ignore[misc]


def regression(options: Any) -> dict[str, Row]:
    """Return the mean loss of predictions of a stream of 1,000 samples of a smooth function, and the samples held."""
    sizes: dict[int, int] = {}

    def run(admit: str, learner: str, seed: int) -> dict[str, float]:
        most = 1000 if admit in ("novel", "all") else sizes[seed]
        how: Any = {"admit": admit.replace("first", "all"), "learner": learner}
        memory = NoveltyGatedRegression(2, scale=0.7, most=most, seed=seed, **how)
        x = torch.rand(1000, 2, generator=rng(seed), dtype=torch.float64) * 2
        x[:, 0] += torch.linspace(0, 4, 1000)  # the stream drifts
        y = (2 * x[:, :1]).sin() * x[:, 1:].cos() + 0.1 * torch.randn(1000, 1, generator=rng(seed + 1)).double()
        loss, held = 0.0, []
        for one, value in zip(x.split(1), y.split(1), strict=True):
            loss += float((memory.read(one) - value).square())
            memory.learn(one, value)
            held.append(len(memory.basis))
        if admit == "novel":
            sizes[seed] = held[-1]
        return {"loss a sample": loss / 1000, "held after 500": held[499], "held after 1,000": held[-1]}

    rows = [("novel", "newton"), ("novel", "gradient"), ("all", "newton"), ("first", "newton"), ("random", "newton")]
    names = {
        "novel": "novel samples",
        "all": "all samples",
        "first": "as many, the first ones",
        "random": "as many, random ones",
    }
    return {f"{names[a]}, {b}": seeded(options.seeds, lambda seed, a=a, b=b: run(a, b, seed)) for a, b in rows}  # type: ignore[misc]


def condensed(options: Any) -> dict[str, Row]:
    """Return how many standard normal keys hold a read at bandwidths about h_G, and where held-out likelihood is highest."""

    def run(n: int, d: int, seed: int) -> dict[str, float]:
        known, asked = (torch.randn(m, d, generator=rng(seed + i)).double() for i, m in enumerate((n, 200)))
        h_g, h_clt = condensation(math.log(n) / d), normal_sums(math.log(n) / d)
        apart = torch.cdist(asked, known).square()

        def held(h: float) -> float:
            return float(participation((-apart / (2 * h * h)).softmax(-1)).mean())

        grid = [h_g * 1.05**i for i in range(-20, 21)]
        likely = [float(((-apart / (2 * h * h)).logsumexp(-1) - d * math.log(h)).mean()) for h in grid]
        return {
            "h_G": h_g,
            "h_CLT": h_clt,
            "held at h_G / 2": held(h_g / 2),
            "held at h_G": held(h_g),
            "held at 2 h_CLT": held(2 * h_clt),
            "likeliest h": grid[likely.index(max(likely))],
        }

    sizes = ((500, 8), (5000, 8), (500, 16), (5000, 16), (5000, 32), (5000, 64))
    return {
        f"n {n:,}, d {d}": seeded(options.seeds, lambda seed, n=n, d=d: run(n, d, seed), ("h_G", "h_CLT"))  # type: ignore[misc]
        for n, d in sizes
    }


def read_error(n: int, d: int, size: float, beta: float | None, seed: int) -> float:
    """Return the error of reads of noisy cues, of n normal keys of a size, at the beta of the rule (None) or a fixed one."""
    known = size * torch.randn(n, d, generator=rng(seed)).double()
    total = 0.0
    for noise in NOISES:
        cues = known[:200] + noise * size * torch.randn(min(n, 200), d, generator=rng(seed + 1)).double()
        at = read_temperature(known) if beta is None else beta
        scores = at * (cues @ known.T - known.square().sum(-1) / 2)
        read = scores.softmax(-1) @ known
        total += float((read - known[:200]).square().mean()) / size**2
    return total / len(NOISES)


def temperature(options: Any) -> dict[str, Row]:
    """Return the error of reads of noisy cues, by how the temperature is chosen: a fixed one for all memories, or the rule."""
    memories = [(n, d, size) for n, d in ((64, 8), (1024, 16), (4096, 64)) for size in (0.5, 1.0, 2.0)]

    def run(beta: float | None, seed: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for n, d, size in memories:
            found[f"n {n:,}, d {d}"] = found.get(f"n {n:,}, d {d}", 0.0) + read_error(n, d, size, beta, seed) / 3
        return found | {"mean": sum(found.values()) / len(found)}

    rules: dict[str, float | None] = {"the rule": None} | {f"beta {b:g}": b for b in (0.25, 0.5, 1, 2, 4, 8, 16, 1000)}
    return {name: seeded(options.seeds, lambda seed, b=b: run(b, seed)) for name, b in rules.items()}  # type: ignore[misc]
