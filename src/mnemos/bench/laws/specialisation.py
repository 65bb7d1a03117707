"""Specialisation against generality (arXiv 2503.22698): tuning for one domain, at growing intensity, and what others pay for it.

A model that has read prose, code and data is tuned on texts about sixteen people: all weights, all weights with as many texts of
before beside them (replay), or an adapter. The paper tunes and compresses models of up to 7 B parameters for eight domains; few
of its figures can be repeated from its text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any, get_args

import torch
from torch import Tensor

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.forgetting import about
from mnemos.bench.laws.language import rows
from mnemos.bench.laws.planted import SHARES, Kind, fresh
from mnemos.bench.laws.trainer import Attached, Trainer, decoder
from mnemos.bench.parametric.facts import make_world
from mnemos.bench.parametric.small_models import loss_of
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.specialisation import specialisation

PAPERS = ("2503.22698",)
WIDTH, READ, BATCH = 48, 600, 32  # of the model; steps of reading before; texts of a step
PEOPLE, TOLD, HELD = 16, 128, 128  # of the domain; texts about them; texts of each domain that are asked
STEPS = (0, 10, 25, 50, 100, 200)  # of tuning
RATES = {"all weights": 1e-3, "replay": 2e-3, "adapter": 5e-3}
RANK = 4
TARGET = "people"


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    start = Trainer(decoder(WIDTH, seed))
    start.run(_mixed(f"read {seed}", READ))
    world = make_world(PEOPLE, values=16, seed=seed)
    told = rows([about(world.facts, seed, i) for i in range(TOLD)])
    asked = {TARGET: rows([about(world.facts, seed, TOLD + i) for i in range(HELD)])}
    rng = random.Random(f"asked {seed}")
    asked |= {kind: rows([fresh(kind, rng) for _ in range(HELD)]) for kind in get_args(Kind)}
    found: dict[str, Any] = {}
    for way, rate in RATES.items():
        model = deepcopy(start.model)
        if way == "adapter":
            model.requires_grad_(False)
            learned = Adapter(rank=RANK, alpha=2 * RANK, targets=("all",)).create(model, (), None, seed)
            with learned.attach(model):
                found[way] = _tuned(Trainer(Attached(model, learned), rate), told, asked, seed, 0)
        else:
            found[way] = _tuned(Trainer(model, rate), told, asked, seed, BATCH if way == "replay" else 0)
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    losses = {
        way: {domain: {int(step): of for step, of in row.items()} for domain, row in each.items()}
        for way, each in figures.items()
    }
    seeds = range(len(losses["all weights"][TARGET][0]))
    plain = losses["all weights"]
    others = {way: {step: _others(each, step) for step in STEPS} for way, each in losses.items()}
    inside = [mean(plain[TARGET][step]) for step in STEPS]
    outside = [mean(others["all weights"][step]) for step in STEPS]
    reports = {way: [_told(each, i) for i in seeds] for way, each in losses.items()}
    shown = {
        name: {way: [getattr(one, name) for one in of] for way, of in reports.items()}
        for name in ("index", "gap", "transfer")
    }
    transfer = {way: mean(of) for way, of in shown["transfer"].items()}
    gained = {way: [one.gains[TARGET] for one in of] for way, of in reports.items()}
    as_well = mean(gained["replay"]) > 0.8 * mean(gained["all weights"])
    dearer = [_cost(losses["adapter"], i) / _cost(plain, i, gained["adapter"][i]) for i in seeds]
    claims = [
        Claim(
            "the loss of the domain falls with the intensity of tuning, and that of the others rises",
            verdict(inside == sorted(inside, reverse=True) and outside == sorted(outside), outside[-1] > outside[0]),
            f"of the domain, by steps: {listed(plain[TARGET])}; of the others: {listed(others['all weights'])}",
        ),
        Claim(
            "replay moves it towards both: others pay less for each nat that the domain gains",
            verdict(transfer["replay"] > 0.5 * transfer["all weights"] and as_well,
                    transfer["replay"] > transfer["all weights"]),
            f"transfer to the others after {STEPS[-1]} steps: {listed(shown['transfer'])}; gain of the domain: {listed(gained)}",
        ),
        Claim(
            "so does an adapter",
            verdict(mean(dearer) < 0.8, mean(dearer) < 1),
            f"what others pay where the domain gained as much, as a share of what they pay for all weights: {said(dearer)}; "
            f"specialisation index: {listed(shown['index'])}; generalisation gap: {listed(shown['gap'])}",
        ),
    ]  # fmt: skip
    law = fit(
        "line", {mean(plain[TARGET][step]): others["all weights"][step] for step in STEPS}, "the price", "all weights"
    )
    prices = {way: {mean(losses[way][TARGET][step]): others[way][step] for step in STEPS} for way in losses}
    panels = [
        Panel("the price", "loss of the domain, nats a token", "mean loss of the others", prices),
        Panel("by steps", "steps of tuning", "loss, nats a token", {
            **{domain: plain[domain] for domain in plain}, "others, replay": others["replay"]
        }, log=True),
    ]  # fmt: skip
    means = (
        "Before a write is kept, `specialisation` says who pays: without replay the other domains lost "
        f"{-transfer['all weights']:.2f} nats for each nat gained, with as many old texts beside the new ones "
        f"{abs(transfer['replay']):.2f}."
    )
    return reported(claims, panels, [law], means)


def _mixed(seed: str, steps: int) -> Iterator[Tensor]:
    """Yield batches of prose, code and data that are met once."""
    rng = random.Random(seed)
    kinds, weights = list(SHARES), list(SHARES.values())
    for _ in range(steps):
        yield rows([fresh(rng.choices(kinds, weights)[0], rng) for _ in range(BATCH)])


def _tuned(trainer: Trainer, told: Tensor, asked: Mapping[str, Tensor], seed: int, replayed: int) -> dict[str, Any]:
    """Return the loss of each domain after some steps of tuning, with as many texts of before in a step."""
    rng = random.Random(f"tuning {seed}")
    old = _mixed(f"replay {seed}", STEPS[-1])
    found: dict[str, Any] = {domain: {} for domain in asked}
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            with torch.no_grad():
                for domain, ids in asked.items():
                    found[domain][str(step)] = float(loss_of(trainer.model, ids))
        if step < STEPS[-1]:
            here = told[rng.sample(range(len(told)), BATCH)]
            trainer.step(_joined(here, next(old)) if replayed else here)
    return found


def _joined(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([*a, *b], batch_first=True)


def _others(each: Mapping[str, Any], step: int) -> list[float]:
    """Return the mean loss of all domains but the target, by seed."""
    return [mean(list(of)) for of in zip(*(each[domain][step] for domain in each if domain != TARGET), strict=True)]


def _told(each: Mapping[str, Any], seed: int) -> Any:
    first, last = ({domain: row[step][seed] for domain, row in each.items()} for step in (STEPS[0], STEPS[-1]))
    return specialisation(first, last, TARGET)


def _cost(each: Mapping[str, Any], seed: int, gain: float | None = None) -> float:
    """Return what others lost at the end, or between steps where the domain had gained so much."""
    first = {domain: row[STEPS[0]][seed] for domain, row in each.items()}
    points = [
        (told.gains[TARGET], -told.elsewhere)
        for step in STEPS
        for told in [specialisation(first, {domain: row[step][seed] for domain, row in each.items()}, TARGET)]
    ]
    if gain is None:
        return points[-1][1]
    for (a, low), (b, high) in pairwise(points):
        if a <= gain <= b:
            return low + (high - low) * (gain - a) / (b - a)
    return points[-1][1]
