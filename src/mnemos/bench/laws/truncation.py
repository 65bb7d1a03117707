"""Truncated context (arXiv 2503.10704): what a model cannot know that sees a window of its past only.

The paper shows it of video: whoever sees a window makes an error of at least the conditional mutual information between what
comes and the past that was dropped, whatever its size; compressed old frames lower it, and errors that pile up while a model
goes on from its own output are another matter. Here a key is told first, noise follows, and the key is asked for; then a
chain goes on from it, each token the successor of the one before. Models read whole texts, windows without the key, and
windows with a summary of the key in 1 to 3 of its 4 bits. The entropy of the key, given the summary, is known exactly.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.trainer import Trainer, decoder, size

PAPERS = ("2503.10704",)
BITS = 4  # of a key
KEYS = 2**BITS
BITS_TOLD = (0, 1, 2, 3)  # bits of the key that a summary holds
FIRST_KEY, FIRST_NOISE, ASK, FIRST_SUMMARY = 4, 24, 60, 64  # tokens; a summary's number follows the last
NOISE, KINDS = 12, 32  # tokens between the key and the question, and how many there are to choose from
CHAIN = 6  # tokens after the answer, each the successor of the one before
WIDTHS = (16, 32, 64)
STEPS, YOUNG, BATCH, RATE = 400, 120, 64, 5e-3  # YOUNG: the step at which the model still errs in the chain
HELD = 1024  # texts that are asked
WEIGHTS = [1 / (key + 1) for key in range(KEYS)]  # keys are drawn by Zipf's law: their entropy is not that of a coin


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = random.Random(f"truncation {seed}")
    after = rng.sample(range(KEYS), KEYS)
    held = random.Random(f"held {seed}")
    asked = [_text(held, after) for _ in range(HELD)]
    views = {"whole": asked, **{f"summary {told}": [_cut(text, told) for text in asked] for told in BITS_TOLD}}
    found: dict[str, Any] = {"known": {str(told): entropy(told) for told in BITS_TOLD}, "gap": {}}
    for width in WIDTHS:
        trainer = Trainer(decoder(width, seed), RATE)
        for step in range(1, STEPS + 1):
            trainer.step(torch.tensor([_drawn(rng, after) for _ in range(BATCH)]))
            if step == YOUNG and width == WIDTHS[1]:
                found["chain"] = _chain(trainer.model, {"whole": asked, "window": views["summary 0"]}, seed)
        losses = {name: _loss(trainer.model, texts) for name, texts in views.items()}
        found["gap"][str(size(trainer.model))] = {
            str(told): losses[f"summary {told}"] - losses["whole"] for told in BITS_TOLD
        }
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    known = {int(told): mean(of) for told, of in figures["known"].items()}
    gaps = {int(n): {int(told): of for told, of in row.items()} for n, row in figures["gap"].items()}
    largest = gaps[max(gaps)]
    bare = {n: row[0] for n, row in gaps.items()}
    off = [abs(mean(of) / known[0] - 1) for of in bare.values()]
    summed = [abs(mean(largest[told]) - known[told]) / known[0] for told in BITS_TOLD]
    forced, rolled = ({name: row[of] for name, row in figures["chain"].items()} for of in ("forced", "rolled"))
    expected = [
        a * b / c
        for a, b, c in zip(forced["window"]["0"], rolled["whole"][str(CHAIN)], forced["whole"]["0"], strict=True)
    ]
    apart = [abs(a - b) for a, b in zip(expected, rolled["window"][str(CHAIN)], strict=True)]
    claims = [
        Claim(
            "what a window costs is the conditional entropy of what was dropped, within a tenth",
            verdict(off[-1] < 0.1, off[-1] < 0.2),
            f"loss of the window less loss of the whole text: {said(largest[0])} nats; entropy of the key {known[0]:.2f}",
        ),
        Claim(
            "a larger model does not lower it",
            verdict(min(mean(of) for of in bare.values()) > 0.9 * known[0]),
            f"nats by parameters: {listed(bare)}",
        ),
        Claim(
            "a summary of what was dropped lowers it, by what it tells",
            verdict(max(summed) < 0.1, mean(largest[BITS_TOLD[-1]]) < 0.5 * mean(largest[0])),
            f"nats by bits of the summary: {listed(largest)}; known: "
            + ", ".join(f"{told}: {value:.2f}" for told, value in known.items()),
        ),
        Claim(
            "errors that pile up in a model's own output are another error: the two multiply",
            verdict(max(apart) < 0.05 and mean(rolled["whole"][str(CHAIN)]) < 0.9, mean(apart) < 0.05),
            f"right after {CHAIN} tokens of its own: {said(rolled['whole'][str(CHAIN)])} where it sees the key, "
            f"{said(rolled['window'][str(CHAIN)])} where it does not; the product of both errors is {said(expected)}",
        ),
    ]
    entropies = {"measured": {known[told]: largest[told] for told in BITS_TOLD}}
    chains = {
        f"{name}, {how}": {int(i): of for i, of in rows.items()}
        for how, both in (("given", forced), ("its own", rolled)) for name, rows in both.items()
    }  # fmt: skip
    panels = [
        Panel(
            "what a window costs", "entropy of what was dropped, nats", "loss over the whole text's, nats", entropies
        ),
        Panel("by size", "parameters", "nats", {"window": bare}, log=True),
        Panel("chain", "tokens since the key", "right", chains),
    ]
    law = fit("line", entropies["measured"], panels[0].title, "measured")
    means = (
        "A window costs what the dropped text tells, and no larger model gets it back: `truncation` is the price, and "
        f"{BITS_TOLD[-1]} of {BITS} bits before a window give back {1 - mean(largest[BITS_TOLD[-1]]) / mean(largest[0]):.0%}."
    )
    return reported(claims, panels, [law], means)


def entropy(told: int) -> float:
    """Return the entropy of a key in nats where a summary gives its first `told` bits."""
    total = sum(WEIGHTS)
    groups: dict[int, float] = {}
    for key, weight in enumerate(WEIGHTS):
        groups[_summary(key, told)] = groups.get(_summary(key, told), 0.0) + weight
    return sum(weight / total * log(groups[_summary(key, told)] / weight) for key, weight in enumerate(WEIGHTS))


def _summary(key: int, told: int) -> int:
    return key >> (BITS - told)


def _text(rng: random.Random, after: list[int]) -> list[int]:
    """Return a text: a key, noise, the question, the key, and the chain that goes on from it."""
    key = rng.choices(range(KEYS), WEIGHTS)[0]
    chain = [key]
    for _ in range(CHAIN):
        chain.append(after[chain[-1]])
    noise = [FIRST_NOISE + rng.randrange(KINDS) for _ in range(NOISE)]
    return [1, FIRST_KEY + key, *noise, ASK, *(FIRST_KEY + link for link in chain)]


def _cut(text: list[int], told: int) -> list[int]:
    """Return a text with a summary in the place of its key."""
    return [text[0], FIRST_SUMMARY + KEYS * told + _summary(text[1] - FIRST_KEY, told), *text[2:]]


def _drawn(rng: random.Random, after: list[int]) -> list[int]:
    text = _text(rng, after)
    told = rng.randrange(-1, len(BITS_TOLD))
    return text if told < 0 else _cut(text, BITS_TOLD[told])


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _loss(model: Any, texts: list[list[int]]) -> float:
    """Return the loss of the answer and the chain, in nats a text."""
    ids = torch.tensor(texts)
    logits = model(ids, use_cache=False).logits[:, :-1]
    losses = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return float(losses[:, -(CHAIN + 1) :].sum(1).mean())


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _chain(model: Any, views: Mapping[str, list[list[int]]], seed: int) -> dict[str, Any]:
    """Return how often each token of the answer is drawn right: after what is so, and after what was drawn."""
    drawn = torch.Generator().manual_seed(seed)
    found: dict[str, Any] = {}
    for name, texts in views.items():
        ids = torch.tensor(texts)
        begun = ids.shape[1] - CHAIN - 1
        own = ids[:, :begun]
        found[name] = {"forced": {}, "rolled": {}}
        for i in range(CHAIN + 1):
            for how, seen in (("forced", ids[:, : begun + i]), ("rolled", own)):
                said_next = torch.multinomial(_last(model, seen), 1, generator=drawn)
                found[name][how][str(i)] = float((said_next[:, 0] == ids[:, begun + i]).float().mean())
            own = torch.cat([own, said_next], 1)
    return found


def _last(model: Any, ids: Tensor) -> Tensor:
    chances: Tensor = model(ids, use_cache=False).logits[:, -1].softmax(-1)
    return chances
