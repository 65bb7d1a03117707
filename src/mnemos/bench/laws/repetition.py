"""Repeated data (arXiv 2205.10487): held-out loss and copying by how often a part of the training is repeated.

A model that reads and copies goes on training, as one does that memories are consolidated into. A share of the texts is
repeats: of many texts a few times, or of few texts many times, in the same number of steps; a third of all texts, repeated or
not, are names that are read twice. Copying is the loss of random names that were read just before. How much text and copying
suffer is compared by the factor by which their loss above its entropy grows, which of a copy is 0 (the paper compares sizes of
models that are as good). The paper trains from scratch; at this size a model that starts with repeats learns to copy
*sooner* for them, which hides what they do later. Settings and bars were fixed on seed 100.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from math import log
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import coded, prose, rows, take
from mnemos.bench.laws.trainer import Trainer, decoder, size
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import RELATIONS, SYLLABLES
from mnemos.bench.parametric.small_models import loss_of
from mnemos.parametric.repeats import damage

PAPERS = ("2205.10487",)
MEANS = (
    "a middle number of repeats does the most harm: `parametric.repeats.damage` warns of it before a text is studied "
    "again."
)

WIDTH, READ = 48, 700  # of the model; steps of reading and copying before, some by Muon: copying is learned sooner
RATE, MUON = 3e-3, 2e-2
STEPS, BATCH = 240, 32  # with repeats
LISTS = 1 / 3  # of the texts are names, twice
SHARES = (0.1, 0.5)  # of the texts that are repeats
TIMES = (1, 16, 64, 256, 768)  # that a repeated text is met; once is not repeated
ASKED = ("home", "work", "dish", "pet")  # that prose tells of
HELD = 256  # texts, and lists of names


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    held = rows(take(prose(f"held {seed}"), HELD))
    rng = random.Random(f"copies {seed}")
    lists = [_list(rng) for _ in range(HELD)]
    tokens = mean([float(len(coded(text))) for text in take(prose("length"), HELD)])
    start = Trainer(decoder(WIDTH, seed), RATE, muon=MUON)
    for step, batch in enumerate(_first(seed)):
        start.rate = RATE * min(1.0, 2 * (1 - step / READ) + 0.05)
        start.step(batch)
    found: dict[str, Any] = {"before": {"loss": _loss(start.model, held), "copying": _copying(start.model, lists)}}
    for share in SHARES:
        for times in TIMES:
            if times == 1 and share != SHARES[0]:
                found[str(share)] = {"1": found[str(SHARES[0])]["1"]}
                continue
            trainer = Trainer(deepcopy(start.model), RATE)
            trainer.run(_batches(share, times, seed))
            loss = _loss(trainer.model, held)
            repeated = share * STEPS * BATCH / times * tokens
            told = damage(repeated, times, (1 - share) * STEPS * BATCH * tokens, size(trainer.model), loss / log(2))
            cell = {
                "loss": loss,
                "copying": _copying(trainer.model, lists),
                "filled": told.filled,
                "warned": told.harmful,
            }
            found.setdefault(str(share), {})[str(times)] = cell
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    shares = [str(share) for share in SHARES]
    loss, copying = ({share: _by(figures[share], of) for share in shares} for of in ("loss", "copying"))
    worst = {share: _worst(loss[share]) for share in shares}
    middle = {share: _middle(loss[share]) for share in shares}
    harm = {
        share: {of: _harm(rows[share], worst[share], floor) for of, rows, floor in
                (("loss", loss, entropy()), ("copying", copying, 0.0))}
        for share in loss
    }  # fmt: skip
    share = str(SHARES[-1])
    warned = {float(n): mean([float(w) for w in row["warned"]]) > 0.5 for n, row in figures[share].items()}
    claims = [
        Claim(
            "held-out loss is worst in a middle range of repeats",
            verdict(all(middle.values()), any(middle.values())),
            "; ".join(f"{float(of):.0%} repeats, loss by times met: {listed(loss[of], 3)}" for of in loss),
        ),
        Claim(
            "copying suffers more than the loss of text",
            verdict(all(mean(h["copying"]) > mean(h["loss"]) for h in harm.values()),
                    any(mean(h["copying"]) > mean(h["loss"]) for h in harm.values())),
            "; ".join(
                f"{float(of):.0%} repeats, {worst[of]} times: what is lost above the entropy ({entropy():.2f} nats a token) is "
                f"{said(h['loss'])} times as much, what is lost of copies {said(h['copying'])} times; copies by times met: "
                f"{listed(copying[of], 3)}"
                for of, h in harm.items()
            ),
        ),
        Claim(
            "the warning of `mnemos.parametric.repeats` names the worst number of repeats, and not the best",
            verdict(warned[worst[share]] and not warned[_worst(loss[share], least=True)]),
            f"{SHARES[-1]:.0%} repeats: worst {worst[share]} times; warned of "
            f"{', '.join(str(n) for n in TIMES if warned[n]) or 'none'}",
        ),
    ]  # fmt: skip
    names = {of: f"{float(of):.0%} repeats" for of in shares}
    panels = [
        Panel("text", "times that a repeated text is met", "held-out loss", {names[of]: loss[of] for of in loss}, log=True),
        Panel("copying", "times that a repeated text is met", "loss of the copy", {names[of]: copying[of] for of in loss}, True),
    ]  # fmt: skip
    once = {of: next(iter(row.values())) for of, row in loss.items()}
    worse = {
        names[of]: {n: [a - b for a, b in zip(v, once[of], strict=True)] for n, v in row.items()}
        for of, row in loss.items()
    }
    panels.append(
        Panel("above texts met once", "times that a repeated text is met", "held-out loss, nats more", worse, log=True)
    )
    few = names[shares[0]]  # with more repeats there is a hump, which no curve of `fits` has
    grows = fit("logarithm", worse[few], panels[-1].title, few)
    return reported(claims, panels, [grows], MEANS)


def _list(rng: random.Random) -> str:
    return " ".join(name(rng, 2) for _ in range(6))


def _first(seed: int) -> Iterator[Tensor]:
    """Yield batches of texts that are met once."""
    fresh = _mixed(f"first {seed}")
    for _ in range(READ):
        yield rows(take(fresh, BATCH))


def _mixed(seed: str) -> Iterator[str]:
    """Yield prose and names that are read twice."""
    fresh, rng = prose(seed), random.Random(f"lists {seed}")
    while True:
        text = _list(rng)
        yield f"{text} {text}" if rng.random() < LISTS else next(fresh)


def entropy() -> float:
    """Return the entropy of prose in nats a token: two of four things about somebody, each in one of three wordings."""
    nats = log(4 * 3) + 2 * log(3) + (3 + 2 * 2) * log(len(SYLLABLES))
    words = fmean(len(prompt.split()) - 1 for of in ASKED for prompt in RELATIONS[of])
    tokens = 2 * (words + 3 + 2 + 1)  # of a statement: its words, a name of 3 syllables, a value of 2 and a full stop
    return nats / tokens


def _batches(share: float, times: int, seed: int) -> Iterator[Tensor]:
    """Yield batches of which a share is repeats."""
    fresh, rng = _mixed(f"unique {seed}"), random.Random(f"repeats {seed} {share} {times}")
    places = round(share * STEPS * BATCH)
    again = take(_mixed(f"again {seed}"), max(1, places // times))
    order = [text for _ in range(-(-places // len(again))) for text in rng.sample(again, len(again))]
    at = 0
    for step in range(1, STEPS + 1):
        until = round(share * step * BATCH)
        here, at = order[at:until], until
        yield rows([*here, *take(fresh, BATCH - len(here))])


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _loss(model: Any, ids: Tensor) -> float:
    return float(loss_of(model, ids))


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _copying(model: Any, lists: list[str]) -> float:
    """Return the loss of names that were read just before."""
    ids = rows([f"{text} {text}" for text in lists])
    logits = model(ids, use_cache=False).logits[:, :-1]
    losses = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return float(losses[:, -(ids.shape[1] - 1) // 2 + 1 :].mean())


def _by(rows: Mapping[str, Any], of: str) -> dict[float, list[float]]:
    return {int(n): row[of] for n, row in rows.items()}


def _middle(rows: Mapping[float, list[float]]) -> bool:
    """Tell whether a number of repeats between the least and the most is worse than both, by more than the spread."""
    values = [mean(of) for of in rows.values()]
    at = values.index(max(values))
    return 0 < at < len(values) - 1


def _worst(rows: Mapping[float, list[float]], least: bool = False) -> float:
    """Return the number of repeats of the highest mean, or of the least."""
    ranked = sorted(rows, key=lambda n: mean(rows[n]))
    return ranked[0 if least else -1]


def _harm(rows: Mapping[float, list[float]], worst: float, floor: float) -> list[float]:
    """Return the factor by which a loss above its floor grew, by seed."""
    return [(a - floor) / (b - floor) for a, b in zip(rows[worst], rows[1], strict=True)]
