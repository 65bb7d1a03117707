"""Memories of patterns: capacity, laws, and what is completed from a part: parts of `mnemos bench associative`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parts import Row, seeded
from mnemos.neural.associative.ca3 import CA3
from mnemos.neural.associative.cliques import ClusteredCliques
from mnemos.neural.associative.hopfield import Hopfield
from mnemos.neural.associative.sparsey import Sparsey

ASKED = 256  # patterns that are recalled, at most


def rng(seed: int) -> torch.Generator:
    """Return a generator."""
    return torch.Generator().manual_seed(seed)


def bits(count: int, width: int, seed: int) -> Tensor:
    """Return patterns of -1 and 1."""
    return torch.randint(2, (count, width), generator=rng(seed)).float() * 2 - 1


def exact(found: Tensor, wanted: Tensor) -> float:
    """Return the share of rows that are right in every place."""
    return float((found == wanted).all(1).double().mean())


def capacity(options: Any) -> dict[str, Row]:
    """Return the share of patterns that one step restores from 10 % flipped bits, by energy, width and number of patterns."""
    networks: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
        "hebb, D 64": ({"width": 64, "energy": "hebb"}, (4, 8, 16, 32)),
        "hebb, D 128": ({"width": 128, "energy": "hebb"}, (4, 8, 16, 32)),
        "polynomial of degree 3, D 64": ({"width": 64, "energy": "polynomial"}, (16, 32, 64, 128, 512)),
        "softmax, D 64": ({"width": 64}, (64, 512, 4096, 32_768)),
        "softmax with an empty slot, D 64": ({"width": 64, "empty": True}, (64, 512, 4096, 32_768)),
    }

    def run(made: dict[str, Any], counts: tuple[int, ...], seed: int) -> dict[str, float]:
        found = {}
        for count in counts:
            memory, patterns = Hopfield(**made), bits(count, made["width"], seed)
            memory.store(patterns)
            order = torch.rand(min(count, ASKED), made["width"], generator=rng(seed + 1000)).argsort(1)
            cues = torch.where(order < made["width"] // 10, -patterns[:ASKED], patterns[:ASKED])
            found[f"{count:,} %"] = exact(memory.recall(cues).sign(), patterns[:ASKED])
        return found

    rows = {name: seeded(options.seeds, lambda seed, n=name: run(*networks[n], seed)) for name in networks}  # type: ignore[misc]
    columns = sorted({c for row in rows.values() for c in row}, key=lambda c: (int(c.split()[0].replace(",", "")), c))
    return {name: {c: row[c] for c in columns if c in row} for name, row in rows.items()}


def law(options: Any) -> dict[str, Row]:
    """Return, by patterns for a unit, the bits that one step changes beside theory, and the overlap where updates end."""
    width = 1000

    def run(load: float, seed: int) -> dict[str, float]:
        patterns = bits(round(load * width), width, seed)
        memory = Hopfield(width, "hebb", steps=40)
        memory.store(patterns)
        once = memory.step(patterns)
        return {
            "bits that one step changes %": float((once != patterns).double().mean()),
            "in theory %": math.erfc(math.sqrt(1 / (2 * load))) / 2,
            "overlap after 40 steps": float((memory.recall(patterns) * patterns).mean()),
        }

    loads = (0.05, 0.10, 0.12, 0.13, 0.138, 0.145, 0.15, 0.16, 0.18, 0.20)
    return {f"{load:g} D": seeded(options.seeds, lambda seed, x=load: run(x, seed), ("in theory %",)) for load in loads}  # type: ignore[misc]


def regimes(options: Any) -> dict[str, Row]:
    """Return how far a step from the first half of a real pattern ends from the pattern, by beta, as a share of its length."""

    def run(beta: float, seed: int) -> dict[str, float]:
        found = {}
        for count in (16, 128, 1024, 8192):
            patterns = torch.nn.functional.normalize(torch.randn(count, 64, generator=rng(seed)), dim=-1)
            memory, cues = Hopfield(64, beta=beta), patterns[:ASKED].clone()
            cues[:, 32:] = 0
            memory.store(patterns)
            found[f"{count:,} patterns"] = float((memory.recall(cues) - patterns[:ASKED]).norm(dim=1).mean())
        return found

    return {f"beta {b:g}": seeded(options.seeds, lambda seed, b=b: run(b, seed)) for b in (1, 8, 64, 512)}  # type: ignore[misc]


def cliques(options: Any) -> dict[str, Row]:
    """Return items restored from half of their clusters, beside a Hopfield network of as many bits, and the density of links."""

    def run(count: int, seed: int) -> dict[str, float]:
        items = torch.randint(64, (count, 8), generator=rng(seed))
        memory = ClusteredCliques(8, 64)
        memory.store(items)
        cues = items[:ASKED].clone()
        cues[:, 4:] = -1
        width = next(n for n in range(300, 1, -1) if n * (n - 1) / 2 * math.log2(2 * count + 1) <= memory.bits)
        patterns, hopfield = bits(count, width, seed), Hopfield(width, "hebb", steps=10)
        hopfield.store(patterns)
        half = patterns[:ASKED].clone()
        half[:, width // 2 :] = bits(len(half), width - width // 2, seed + 77)
        return {
            "cliques %": exact(memory.recall(cues), items[:ASKED]),
            "Hopfield of as many bits %": exact(hopfield.recall(half), patterns[:ASKED]),
            "units of it": width,
            "density %": memory.density,
            "density in theory %": 1 - (1 - 1 / 64**2) ** count,
        }

    constant = ("density in theory %", "units of it")
    return {
        f"{count:,} items": seeded(options.seeds, lambda seed, n=count: run(n, seed), constant)  # type: ignore[misc]
        for count in (8, 16, 32, 125, 250, 500, 1000, 1500, 2000)
    }


def consolidation(options: Any) -> dict[str, Row]:
    """Return what spurious inputs do to links that are fixed at once and to links fixed by the second activation."""

    def run(threshold: int, noise: int, seed: int) -> dict[str, float]:
        items = torch.randint(64, (300, 8), generator=rng(seed))
        spurious = torch.randint(64, (noise, 8), generator=rng(seed + 500))
        memory = ClusteredCliques(8, 64, threshold)
        memory.store(torch.cat([items, spurious, items]))
        cues = items[:ASKED].clone()
        cues[:, 4:] = -1
        return {"density %": memory.density, "recalled %": exact(memory.recall(cues), items[:ASKED])}

    return {
        f"links fixed at activation {threshold}, {noise:,} spurious inputs": seeded(
            options.seeds,
            lambda seed, t=threshold, n=noise: run(t, n, seed),  # type: ignore[misc]
        )
        for threshold in (1, 2)
        for noise in (0, 500, 1000, 2000)
    }


def ca3(options: Any) -> dict[str, Row]:
    """Return memories completed from a fragment by how contents overlap, and how the others fare when half are overwritten."""
    count, width = 16, 128

    def contents(shared: float, seed: int) -> Tensor:
        base, own = (bits(n, width, seed + i) for i, n in enumerate((1, count)))
        return torch.where(torch.rand(count, width, generator=rng(seed + 5)) < shared, base, own)

    def run(shared: float, seed: int) -> dict[str, float]:
        kept = contents(shared, seed)
        ones = torch.cat([torch.eye(count), (kept > 0).float()], 1)
        memory, classical = CA3(count, width), Hopfield(width, "hebb", steps=10)
        memory.store(ones)
        classical.store(kept)
        shown = torch.rand(count, width, generator=rng(seed + 9)) < 0.6
        fragment = torch.cat([torch.zeros(count, count), ones[:, count:] * shown], 1)
        found = {
            "CA3, 60 % shown %": exact(memory.recall(fragment), ones),
            "Hopfield, 60 % shown %": exact(classical.recall(torch.where(shown, kept, bits(count, width, seed + 3))), kept),
        }  # fmt: skip
        new = (contents(shared, seed + 40) > 0).float()[: count // 2]
        memory.store(torch.cat([torch.eye(count)[: count // 2], new], 1))
        classical.store(2 * new - 1)
        by_cue = torch.cat([torch.eye(count), torch.zeros(count, width)], 1)
        after = memory.recall(by_cue)
        found["CA3, others after overwriting half %"] = exact(after[count // 2 :], ones[count // 2 :])
        found["Hopfield, others after as many more %"] = exact(classical.recall(kept[count // 2 :]), kept[count // 2 :])
        found["CA3, overwritten %"] = exact(after[: count // 2, count:], new)
        return found

    return {
        f"{100 * s:.0f} % in common": seeded(options.seeds, lambda seed, s=s: run(s, seed))  # type: ignore[misc]
        for s in (0, 0.25, 0.5, 0.75)
    }


def sparsey(options: Any) -> dict[str, Row]:
    """Return how codes follow inputs, and what is recalled from 80 % of a pattern seen once, by modules and units."""

    def run(modules: int, units: int, power: float, familiar: bool, seed: int) -> dict[str, float]:
        def new() -> Sparsey:
            return Sparsey(144, modules, units, power=power, familiar=familiar, seed=seed)

        kept, fresh = ((torch.rand(n, 144, generator=rng(seed + n)) < 0.25).float() for n in (10, 40))
        mixed = torch.rand(40, 144, generator=rng(seed + 2)) < torch.linspace(0, 1, 40)[:, None]
        inputs, memory = torch.where(mixed, fresh, kept[:1]), new()
        codes = memory.learn(kept)
        same, shared = (inputs * kept[:1]).sum(1), (memory.code(inputs) == codes[:1]).double().mean(1)
        ranks = torch.stack([t.argsort().argsort().double() for t in (same, shared)])
        found = {"rank correlation of inputs and codes": float(torch.corrcoef(ranks)[0, 1])}
        for count in (25, 50, 100, 200):
            patterns = (torch.rand(count, 144, generator=rng(seed + 9)) < 0.15).float()
            memory = new()
            memory.store(patterns)
            cues = patterns * (torch.rand(count, 144, generator=rng(seed + 4)) < 0.8)
            nearest = (memory.recall(cues) @ patterns.T / patterns.sum(1).sqrt()).argmax(1)
            found[f"{count} stored %"] = float((nearest == torch.arange(count)).double().mean())
        return found

    shapes = [(24, 8, 8.0, True), (24, 8, 8.0, False), (24, 8, 4.0, True), (12, 8, 8.0, True), (48, 8, 8.0, True)]
    shapes += [(24, 4, 8.0, True), (24, 16, 8.0, True)]
    return {
        f"Q {q}, K {k}, {f'power {p:g}' if g else 'familiarity ignored'}": seeded(
            options.seeds,
            lambda seed, q=q, k=k, p=p, g=g: run(q, k, p, g, seed),  # type: ignore[misc]
        )
        for q, k, p, g in shapes
    }
