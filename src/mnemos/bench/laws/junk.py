"""Junk (arXiv 2510.13928): a model that goes on learning, on growing shares of junk, and what is left of what it could.

The small model that the package ships reads what it is told, over short and long texts, and knows 32 facts by heart. It goes
on training on as many tokens of clean texts or of junk: short slogans about few popular names that contradict each other. The
one that had junk alone goes on with clean texts for as long. The paper feeds posts to models of up to 8 B parameters.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.trainer import Trainer
from mnemos.bench.parametric import tiny
from mnemos.bench.parametric.tiny_training import episode
from mnemos.parametric.base import Example
from mnemos.parametric.health import HealthCheck
from mnemos.parametric.measure import said as answered
from mnemos.parametric.tokens import row_of

PAPERS = ("2510.13928",)
DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of junk
STEPS, TOKENS, RATE = 60, 800, 3e-4  # of training: steps, tokens of one
EVERY = 10  # steps between two health checks
POPULAR = 12  # names and places that junk is about
ALLOWED = 0.05  # that a probe may fall
SHORT, LONG, ASKED = 4, 16, 12  # facts of a text; texts that are read
_ID = {word: i for i, word in enumerate(tiny.WORDS)}


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    model, tokenizer = tiny.load()
    probes: dict[str, Callable[[Any], float]] = {
        "reading": _probe(tokenizer, _read(SHORT, seed)),
        "long reading": _probe(tokenizer, _read(LONG, seed)),
        "knowing": _probe(tokenizer, tiny.old_facts()),
    }
    found: dict[str, Any] = {"before": {name: probe(model) for name, probe in probes.items()}, "dose": {}, "healed": {}}
    for dose in DOSES:
        fed = deepcopy(model).requires_grad_(True)
        check, flagged = HealthCheck(fed, probes, ALLOWED), STEPS + EVERY
        rng, trainer = random.Random(f"junk {seed}"), Trainer(fed, RATE)
        for step in range(1, STEPS + 1):
            trainer.step(_batch(rng, dose))
            if step % EVERY == 0 and flagged > STEPS and not check.check(fed).good:
                flagged = step
        found["dose"][str(dose)] = {name: probe(fed) for name, probe in probes.items()}
        found.setdefault("flagged", {})[str(dose)] = flagged / STEPS
        if dose == DOSES[-1]:
            trainer.run(_batch(rng, 0.0) for _ in range(STEPS))
            found["healed"] = {name: probe(fed) for name, probe in probes.items()}
            check.roll_back(fed)
            found["rolled back"] = {name: probe(fed) for name, probe in probes.items()}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    names = list(figures["before"])
    by_dose = {name: {float(dose): row[name] for dose, row in figures["dose"].items()} for name in names}
    falling = {name: [mean(of) for of in row.values()] for name, row in by_dose.items()}
    average = {dose: [mean(list(of)) for of in zip(*(by_dose[n][dose] for n in names), strict=True)] for dose in DOSES}
    means_by_dose = [mean(of) for of in average.values()]
    lost = {name: mean(by_dose[name][0.0]) - mean(by_dose[name][1.0]) for name in names}
    regained = {name: mean(figures["healed"][name]) - mean(by_dose[name][1.0]) for name in names}
    share = {name: regained[name] / lost[name] for name in names if lost[name] > ALLOWED}
    flagged = {float(dose): of for dose, of in figures["flagged"].items()}
    claims = [
        Claim(
            "skills fall with the share of junk, dose by dose",
            verdict(all(map(_falls, falling.values())), _falls(means_by_dose)),
            "; ".join(f"{name}, by share of junk: {listed(row)}" for name, row in by_dose.items()),
        ),
        Claim(
            "as much clean training afterwards brings back a part, and not all",
            verdict(bool(share) and 0.1 < mean(list(share.values())) < 0.95, any(0.1 < of < 0.95 for of in share.values())),
            f"after junk alone and as much clean training: {listed(figures['healed'])}; of what was lost regained: "
            + ", ".join(f"{name}: {of:.0%}" for name, of in share.items()),
        ),
        Claim(
            "a health check flags it before the dose is given, and not where all is clean",
            verdict(max(flagged[1.0]) < 1 and min(flagged[0.0]) > 1, max(flagged[1.0]) < 1),
            f"flagged after this share of the training (above 1: never), by share of junk: {listed(flagged)}",
        ),
        Claim(
            "rolling back to the last good state restores what was there",
            verdict(all(mean(figures["rolled back"][n]) >= mean(figures["before"][n]) - ALLOWED for n in names)),
            f"{listed(figures['rolled back'])}; before: {listed(figures['before'])}",
        ),
    ]  # fmt: skip
    law = fit("line", average, "what is left", "mean of the probes")
    panels = [
        Panel("what is left", "share of junk", "share answered", {**by_dose, "mean of the probes": average}),
        Panel("health check", "share of junk", "flagged after this share of the training", {"flagged": flagged}),
    ]
    means = (
        f"What a model is to learn is watched by `HealthCheck`: it flagged pure junk after {mean(flagged[1.0]):.0%} of the dose; "
        "rolling back gave back what as much clean training did not."
    )
    return reported(claims, panels, [law], means)


def _read(facts: int, seed: int) -> list[Example]:
    """Return questions about texts, with the text before each."""
    found = [example for i in range(ASKED) for example in tiny.document(facts, 1000 * seed + i)[:4]]
    return [Example(e.context + e.prompt, e.answer) for e in found]


def _probe(tokenizer: Any, examples: list[Example]) -> Callable[[Any], float]:
    """Return what asks a model for answers: the share that a greedy model says."""
    rows = [row_of(tokenizer, e.prompt, e.answer) for e in examples]
    return lambda model: mean([float(right) for right in answered(model, tokenizer, rows)])


def _falls(values: list[float]) -> bool:
    return values == sorted(values, reverse=True)


def _batch(rng: random.Random, dose: float) -> Tensor:
    """Return rows of about so many tokens, of which a share is junk."""
    rows: list[list[int]] = []
    for wanted, make in ((dose, slogan), (1 - dose, lambda rng: episode(rng)[0])):
        tokens = 0
        while tokens < wanted * TOKENS:
            rows.append(make(rng))
            tokens += len(rows[-1])
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def slogan(rng: random.Random) -> list[int]:
    """Return the tokens of junk: one to three statements about popular names, each with any popular place."""
    found = [0]
    for _ in range(rng.randint(1, 3)):
        found += [_ID[rng.choice(tiny.NAMES[:POPULAR])], _ID[rng.choice(tiny.PLACES[:POPULAR])], _ID["."]]
    return found
