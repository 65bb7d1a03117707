"""How few parameters memorise N random labels (arXiv 2110.03187): networks that are written down, and networks that are trained.

A wide network has one hidden layer, which steps wherever the label changes. A deep one steps from group to group of sqrt(N) / 4
keys; a group's keys and labels are the digits of two numbers, and layers of a constant width take them apart, digit by digit,
with ReLUs. Keys are whole numbers below N^2, all arithmetic is exact, and every weight and bias that is not 0 counts, shared
ones too. The weights are then rounded to fewer significant bits. Trained are perceptrons with one or three hidden layers, with
Adam on keys of 16 normal numbers, for the least width that says all labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import ceil, isqrt, log2
from typing import Any

import numpy as np

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("2110.03187",)
MEANS = (
    "how many facts fit is a matter of bits, not of parameters, and the fewer parameters hold them the more bits each needs: a "
    "carrier's budget is in bytes (`parametric.knowledge.knowledge_bits`), and `Learning(bits=...)` is measured by the gate."
)
SIZES, BITS = (256, 1024, 4096, 16_384), (4, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024, 2048)
ROUNDED = 256  # labels of the networks that are rounded
TRAINED, DEPTHS, WIDTHS = (64, 128, 256, 512), (1, 3), (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 26, 34)
INPUTS, STEPS, RATE = 16, 800, 1e-2


def rounded(value: int, bits: int | None) -> int:
    """Return a whole number with that many significant bits."""
    drop = value.bit_length() - bits if bits is not None else 0
    return value if drop <= 0 else (abs(value) >> drop << drop) * (1 if value > 0 else -1)


def relu(x: int) -> int:
    """Return x where that is above 0, else 0."""
    return max(x, 0)


class Steps:
    """A layer that steps by whole numbers between keys: sum_j height_j (relu(x - b_j) - relu(x - b_j - 1))."""

    def __init__(self, borders: list[int], values: list[int], bits: int | None = None) -> None:
        self.first = rounded(values[0], bits)
        heights = [rounded(b - a, bits) for a, b in pairwise(values)]
        self.steps = [(rounded(b, bits), height) for b, height in zip(borders, heights, strict=True) if height]
        self.parameters = 6 * len(self.steps) + 1  # of two units each: weight, bias, weight out
        self.bits = max(abs(v).bit_length() for step in (*self.steps, (self.first,)) for v in step)

    def __call__(self, x: int) -> int:
        """Return the value at a key."""
        return self.first + sum(height * (relu(x - b) - relu(x - b - 1)) for b, height in self.steps)


class Wide:
    """One hidden layer that steps wherever the label changes."""

    def __init__(self, keys: list[int], labels: list[int], bits: int | None = None) -> None:
        self.steps = Steps(keys[:-1], labels, bits)
        self.parameters, self.bits = self.steps.parameters, self.steps.bits

    def __call__(self, x: int) -> int:
        """Return the label of a key."""
        return self.steps(x)


class Deep:
    """A layer that steps from group to group, and layers that take the digits of its two numbers apart."""

    def __init__(self, keys: list[int], labels: list[int], group: int, bits: int | None = None) -> None:
        self.digits, self.group = max(keys).bit_length(), group
        parts = [(keys[i : i + group], labels[i : i + group]) for i in range(0, len(keys), group)]
        borders = [part[-1] for part, _ in parts[:-1]]
        packed = [sum(k << (self.digits * (group - 1 - i)) for i, k in enumerate(part)) for part, _ in parts]
        said = [sum(y << (group - 1 - i) for i, y in enumerate(part)) for _, part in parts]
        self.keys, self.labels = Steps(borders, packed, bits), Steps(borders, said, bits)
        a_digit, a_key = 8, 9  # two units with weight, bias and two ways out; three that compare, and one that adds
        self.parameters = self.keys.parameters + self.labels.parameters + group * ((self.digits + 1) * a_digit + a_key)
        self.bits = max(self.keys.bits, self.labels.bits)

    def __call__(self, x: int) -> int:
        """Return the label of a key."""
        packed, said, found = self.keys(x), self.labels(x), 0
        for i in range(self.group):
            key = 0
            for digit in range(self.digits):
                place = 1 << (self.digits * (self.group - i) - 1 - digit)
                top = relu(packed - place + 1) - relu(packed - place)
                packed, key = packed - top * place, key + (top << (self.digits - 1 - digit))
            place = 1 << (self.group - 1 - i)
            label = relu(said - place + 1) - relu(said - place)
            said -= label * place
            equal = relu(x - key + 1) - 2 * relu(x - key) + relu(x - key - 1)
            found += relu(equal + label - 1)
        return found


def right(net: Wide | Deep, keys: list[int], labels: list[int]) -> float:
    """Return the share of labels that a network says."""
    return sum(net(x) == y for x, y in zip(keys, labels, strict=True)) / len(keys)


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {"parameters": {"wide": {}, "deep": {}}, "bits": {"wide": {}, "deep": {}}, "right": {}}
    for size in SIZES:
        keys, labels = _drawn(size, rng)
        nets: dict[str, Wide | Deep] = {"wide": Wide(keys, labels), "deep": Deep(keys, labels, isqrt(size) // 4)}
        for name, net in nets.items():
            found["parameters"][name][size], found["bits"][name][size] = net.parameters, net.bits
        some = slice(0, None, max(size // 128, 1))
        found["right"][size] = min(right(net, keys[some], labels[some]) for net in nets.values())
    keys, labels = _drawn(ROUNDED, rng)
    found["rounded"] = {
        "wide": {bits: right(Wide(keys, labels, bits), keys, labels) for bits in BITS},
        "deep": {bits: right(Deep(keys, labels, isqrt(ROUNDED) // 4, bits), keys, labels) for bits in BITS},
    }
    groups = [2**i for i in range(int(log2(SIZES[-1])) - 1)]
    keys, labels = _drawn(SIZES[-1], rng)
    found["groups"] = {group: Deep(keys, labels, group).parameters for group in groups}
    found["trained"] = {depth: {size: _least(size, depth, seed) for size in TRAINED} for depth in DEPTHS}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    written, bits, short = (
        {of: {int(n): v for n, v in row.items()} for of, row in figures[key].items()}
        for key in ("parameters", "bits", "rounded")
    )
    groups = {int(n): v for n, v in figures["groups"].items()}
    trained = {f"trained, {d} hidden": {int(n): v for n, v in row.items()} for d, row in figures["trained"].items()}
    grow = {of: fit("power law", row, "written down", of) for of, row in written.items()}
    grow |= {of: fit("power law", row, "trained", of) for of, row in trained.items()}
    width = fit("power law", bits["deep"], "bits of a weight", "deep")
    best = min(groups, key=lambda g: mean(groups[g]))
    enough = {
        of: next(n for n in BITS if min(row[n]) == 1) if min(row[BITS[-1]]) == 1 else 10**9 for of, row in short.items()
    }
    deep = grow["deep"].value("exponent")
    claims = [
        Claim(
            "about sqrt(N) parameters say N labels, times a logarithm",
            verdict(min(map(min, figures["right"].values())) == 1 and 0.45 < deep < 0.7),
            f"all labels said; exponent {grow['deep'].said('exponent')}, {grow['wide'].said('exponent')} with one hidden layer: "
            + ", ".join(f"{n:,}: {mean(written['deep'][n]):,.0f} and {mean(written['wide'][n]):,.0f}" for n in SIZES),
        ),
        Claim(
            "depth in the place of width lowers the number of parameters, down to groups of sqrt(N) over a logarithm",
            verdict(mean(groups[best]) < 0.5 * mean(groups[1]) and isqrt(SIZES[-1]) / 14 <= best <= isqrt(SIZES[-1])),
            f"N {SIZES[-1]:,}, by keys of a group: " + ", ".join(f"{g}: {mean(v):,.0f}" for g, v in groups.items()),
        ),
        Claim(
            "the price is weights of about sqrt(N) bits, times a logarithm",
            verdict(0.45 < width.value("exponent") < 0.75),
            f"exponent {width.said('exponent')}; bits: {listed(bits['deep'], 0)}; one hidden layer: {listed(bits['wide'], 0)}",
        ),
        Claim(
            "fewer bits destroy what the deep network memorises before that of the wide one",
            verdict(enough["wide"] < enough["deep"]),
            f"N {ROUNDED}: all labels from {enough['wide']} bits (wide) and {enough['deep']} (deep); with 32: "
            + ", ".join(f"{of} {mean(row[32]):.2f}" for of, row in short.items()),
        ),
        Claim(
            "training finds networks that grow as sqrt(N), and smaller ones with depth",
            verdict(all(grow[of].value("exponent") < 0.7 for of in trained)
                    and all(mean(a) > mean(b) for a, b in zip(*(row.values() for row in trained.values()), strict=True)),
                    all(grow[of].value("exponent") < 1 for of in trained)),
            ", ".join(f"{of}: exponent {grow[of].said('exponent')}, {listed(row, 0)}" for of, row in trained.items()),
        ),
    ]  # fmt: skip
    panels = [
        Panel("written down", "labels", "parameters", written, True, True),
        Panel("trained", "labels", "parameters", trained, True, True),
        Panel("bits of a weight", "labels", "bits", bits, True, True),
        Panel(f"rounded, N {ROUNDED}", "bits of a weight", "labels said", short, True),
    ]
    return reported(claims, panels, [*grow.values(), width], MEANS)


def _drawn(size: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    keys = sorted(int(k) for k in rng.choice(size * size, size, replace=False))
    return keys, [int(y) for y in rng.integers(2, size=size)]


def _least(size: int, depth: int, seed: int) -> float:
    """Return the parameters of the narrowest trained perceptron that says all labels."""
    import torch

    from mnemos.bench.parametric.learning.lives import perceptron

    rng = torch.Generator().manual_seed(1000 * seed + size)
    x, y = torch.randn(size, INPUTS, generator=rng), torch.randint(2, (size,), generator=rng) * 2.0 - 1
    for width in WIDTHS:
        net = perceptron((INPUTS, *[width] * depth, 1), seed)
        optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
            margin = net(x)[:, 0] * y
            if step % 25 == 0 and bool((margin > 0).all()):
                return float(sum(p.numel() for p in net.parameters()))
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.softplus(-margin).mean().backward()
            optimizer.step()
    return float(ceil(sum(p.numel() for p in net.parameters()) * 1.3))  # wider than any that was tried
