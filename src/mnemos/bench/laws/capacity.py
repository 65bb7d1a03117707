"""Knowledge capacity in bits a parameter (arXiv 2404.05405): by size, by number of facts, by exposures, by bits a weight, and
with junk.

An item is a name of two syllables and six values, a syllable each: nothing but heart tells them. Junk are items that are met
once. Models of different sizes and loads are trained in batches of 16, exposures are compared in larger ones, so that steps are
neither few nor many; the paper's 100 and 1,000 exposures on the smallest model. Sizes, batches and rates were chosen on seeds
100 to 103.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from math import cos, pi
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.population import rounded
from mnemos.bench.laws.trainer import Trainer, decoder, size
from mnemos.bench.parametric.facts import vocabulary
from mnemos.parametric.knowledge import knowledge_bits

PAPERS = ("2404.05405",)
MEANS = (
    "weights hold one to two bits a parameter at most, and eight bits a weight keep them: "
    "`parametric.knowledge.knowledge_bits` is the budget of a carrier."
)

VALUES, KINDS = 64, 6  # values of an attribute, attributes of an item
FIRST = [
    i for i, token in enumerate(vocabulary()) if len(token) == 2 and token.istitle()
]  # syllables that begin a name
LATER = [i for i, token in enumerate(vocabulary()) if token.startswith("##")]
TAG = vocabulary().index(".")  # stands before useful items where they have a tag; junk has none
NAMES = float(len(FIRST) * len(LATER))
WIDTH, WIDTHS, MANY = 12, (12, 16, 20), 100  # the model of most measurements; exposures
SMALL = 8  # width of the model whose exposures are compared
FULL = 20  # parameters an item where a model is full, at 2 bits a parameter
PARTS = (0.25, 0.5, 1.0, 2.0)  # of the items that fill the model
EXPOSURES = (30, 100, 300, 1000)
BITS = (8, 6, 5, 4, 3)
BATCH, MIDDLE, LARGE = 16, 32, 64  # texts of a step; where exposures are compared, and with junk; of many exposures
RATES = {8: 1e-2, 12: 8e-3, 16: 5e-3, 20: 3e-3}  # of training, by width
JUNK_RATE = 7e-3  # the same where there is junk, and beside it
USEFUL = 100  # exposures of useful items among junk
JUNK = 3  # times as many junk items as useful ones in a batch


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    found: dict[str, Any] = {"size": {}, "items": {}, "exposures": {}, "bits": {}, "junk": {}}
    for width in WIDTHS:
        model, items = _fitted(width, 1.0, MANY, seed)
        found["size"][str(size(model))] = _ratio(model, items)
        if width == WIDTH:
            found["items"]["1.0"] = _ratio(model, items)
            found["bits"] = {"32": _ratio(model, items)}
            found["bits"] |= {str(bits): _ratio(rounded(model, bits), items) for bits in BITS}
    for part in PARTS:
        if part != 1.0:
            found["items"][str(part)] = _ratio(*_fitted(WIDTH, part, MANY, seed))
    for times in EXPOSURES:
        batch = LARGE if times > MANY else MIDDLE
        found["exposures"][str(times)] = _ratio(*_fitted(SMALL, 1.0, times, seed, batch))
    for name, junk, tag in (("no junk", 0, False), ("junk", JUNK, False), ("junk, tagged", JUNK, True)):
        found["junk"][name] = _ratio(*_fitted(WIDTH, 0.5, USEFUL, seed, MIDDLE, junk, tag, JUNK_RATE), tag=tag)
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    sizes, bits, junk = {int(n): of for n, of in figures["size"].items()}, figures["bits"], figures["junk"]
    items = {float(n): of for n, of in sorted(figures["items"].items(), key=lambda each: float(each[0]))}
    met = {int(n): figures["exposures"][str(n)] for n in EXPOSURES}
    by_size = [mean(of) for of in sizes.values()]
    grown = [mean(of) for of in items.values()]
    levelled = (grown[-1] - grown[-2]) / max(grown[-2] - grown[-3], 1e-6)  # 2 where they grow with the facts
    share = [a / b for a, b in zip(met[100], met[1000], strict=True)]
    kept = {f"{n} bits": [a / b for a, b in zip(bits[str(n)], bits["32"], strict=True)] for n in BITS}
    won = mean(junk["junk, tagged"]) - mean(junk["junk"])
    claims = [
        Claim(
            "bits a parameter saturate as facts are added",
            verdict(levelled < 0.5, levelled < 0.8),
            f"by facts, as a share of those that fill the model at 2 bits a parameter: {listed(items)}",
        ),
        Claim(
            "at a constant that does not depend on the size",
            verdict(max(by_size) < 1.2 * min(by_size), max(by_size) < 1.5 * min(by_size)),
            f"by parameters: {listed(sizes)}",
        ),
        Claim(
            "a tenth of the exposures give about half",
            verdict(0.35 < mean(share) < 0.7),
            f"by exposures: {listed(met)}; 100 give {said(share)} of 1,000",
        ),
        Claim(
            "int8 keeps it, fewer bits do not",
            verdict(mean(kept["8 bits"]) > 0.97 and mean(kept["4 bits"]) < 0.9),
            f"share left: {listed(kept)}",
        ),
        Claim(
            "junk takes capacity, and a tag before useful data wins it back",
            verdict(mean(junk["junk"]) < 0.9 * mean(junk["no junk"]) and won > 0.5 * (mean(junk["no junk"]) - mean(junk["junk"])),
                    won > 0.02),
            f"bits a parameter of the useful facts: {listed(junk)}",
        ),
    ]  # fmt: skip
    panels = [
        Panel(
            "by facts", "facts, of those that fill the model", "bits a parameter", {f"width {WIDTH}": items}, log=True
        ),
        Panel("by exposures", "exposures", "bits a parameter", {f"width {SMALL}": met}, log=True),
        Panel("by bits a weight", "bits a weight", "share left", {"rounded": {n: kept[f"{n} bits"] for n in BITS}}),
    ]
    bits = fit("sigmoid", panels[2].curves["rounded"], panels[2].title, "rounded")
    return reported(claims, panels, [bits], MEANS)


def _fitted(
    width: int,
    part: float,
    times: int,
    seed: int,
    batch: int = BATCH,
    junk: int = 0,
    tag: bool = False,
    rate: float | None = None,
) -> tuple[Any, Tensor]:
    """Return a model that met items `times` times each, and the items (N, 8): a name and the values."""
    model = decoder(width, seed)
    count = round(part * size(model) / FULL)
    rng = random.Random(f"capacity {seed} {width} {part}")
    items = torch.tensor(_items(rng, count))
    rate = RATES[width] if rate is None else rate
    trainer, steps = Trainer(model, rate), -(-count * times * (1 + junk) // batch)
    for step, rows in enumerate(_batches(items, steps, batch, junk, tag, rng, seed)):
        trainer.rate = rate * (0.02 + 0.98 * 0.5 * (1 + cos(pi * step / steps)))
        trainer.step(rows)
    return trainer.model, items


def _items(rng: random.Random, count: int) -> list[list[int]]:
    named = rng.sample(range(len(FIRST) * len(LATER)), count)
    return [
        [FIRST[n % len(FIRST)], LATER[n // len(FIRST)], *(rng.choice(LATER[:VALUES]) for _ in range(KINDS))]
        for n in named
    ]


def _batches(
    items: Tensor, steps: int, batch: int, junk: int, tag: bool, rng: random.Random, seed: int
) -> Iterator[Tensor]:
    """Yield rows of items in a random order, with as much junk as asked for, after a mark and where wanted a tag."""
    drawn = torch.Generator().manual_seed(seed)
    useful = batch // (1 + junk)
    order = torch.cat([torch.randperm(len(items), generator=drawn) for _ in range(-(-steps * useful // len(items)))])
    for step in range(steps):
        here = _begun(items[order[step * useful : (step + 1) * useful]], tag)
        if junk:
            others = _begun(torch.tensor(_items(rng, batch - useful)), False)
            width = max(here.shape[1], others.shape[1])
            here = torch.cat([functional.pad(rows, (0, width - rows.shape[1])) for rows in (here, others)])
        yield here


def _begun(rows: Tensor, tag: bool) -> Tensor:
    """Return rows after the mark that begins a text, and a tag."""
    first = torch.tensor([[1, TAG] if tag else [1]]).expand(len(rows), -1)
    return torch.cat([first, rows], 1)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _ratio(model: Any, items: Tensor, tag: bool = False) -> float:
    """Return the bits a parameter that a model holds of items."""
    losses = []
    for part in items.split(512):
        rows = _begun(part, tag)
        logits = model(rows, use_cache=False).logits[:, :-1]
        losses.append(functional.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")[:, int(tag) :])
    name, *values = _means(torch.cat(losses))
    return knowledge_bits(len(items), NAMES, name, [VALUES] * KINDS, values) / size(model)


def _means(losses: Tensor) -> Sequence[float]:
    """Return the mean loss of names, and of each value."""
    each = losses.mean(0).tolist()
    return [each[0] + each[1], *each[2:]]
