"""A small model of bytes that learns Shakespeare, then Wikipedia, then stories of bAbI: what it keeps of each.

A window of eight bytes says the next one; 200 steps of 64 windows a text, Adam. Losses are in nats a byte on text that was not
learned. Adam's rate is .002; the highest one of a schedule is the better of two on a seed that is not reported.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.learning.lives import Strategies
from mnemos.bench.parametric.learning.methods import row_of
from mnemos.bench.parts import Row
from mnemos.errors import NotFound
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.fast_slow_replay import FastSlowReplay
from mnemos.parametric.consolidate.general_replay import GeneralReplay
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.learning_rate import LearningRate, annealed
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.reptile import Reptile

FILES = ("shakespeare/input.txt", "wikitext2/valid.txt", "babi/en/qa1_single-supporting-fact_train.txt")
WINDOW, BYTES, BATCH, STEPS, ASKED = 8, 128, 64, 200, 500
RATES = (2e-3, 5e-3)  # of Adam
ANNEAL = 40  # steps


class Text(NamedTuple):
    """Bytes that are learned, and that are asked."""

    train: Tensor
    test: Tensor


def texts(data: Path) -> list[Text]:
    """Return the texts of a folder, other bytes than ASCII left out. Raises NotFound where one is missing."""
    found = []
    for name in FILES:
        if not (data / name).exists():
            raise NotFound(f"{data / name} is not there: give a folder with {', '.join(FILES)} as --data.")
        raw = torch.tensor([b for b in (data / name).read_bytes()[:400_000] if b < BYTES])
        cut = len(raw) * 9 // 10
        found.append(Text(raw[:cut], raw[cut:]))
    return found


def windows(text: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return windows (count, WINDOW) of a text, and the byte after each."""
    starts = torch.randint(len(text) - WINDOW, (count,), generator=generator)
    return text[starts[:, None] + torch.arange(WINDOW)], text[starts + WINDOW]


def network(seed: int) -> nn.Sequential:
    """Return embeddings of the bytes, two hidden layers, and a head."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Embedding(BYTES, 16), nn.Flatten(), nn.Linear(16 * WINDOW, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
        nn.Linear(128, BYTES),
    )  # fmt: skip


def once(all_texts: list[Text], strategies: Strategies, rate: float, seed: int, ship: bool = False) -> dict[str, float]:
    """Return losses of a life; `ship`: those of a copy that was annealed at its end."""
    learner = Learner(
        network(seed), strategies, optimise=partial(torch.optim.Adam, lr=rate), scenario="domain", seed=seed
    )
    generator = torch.Generator().manual_seed(seed)
    asked = [windows(t.test, ASKED, torch.Generator().manual_seed(1)) for t in all_texts]

    def losses(of: Learner) -> list[float]:
        return [float(nn.functional.cross_entropy(of.predict(x), y)) for x, y in asked]

    learned: list[float] = []  # of each text when it was learned
    spikes: list[float] = []  # how far earlier texts rise in the first steps of another
    for number, text in enumerate(all_texts):
        before, highest = losses(learner), [0.0] * number
        for step in range(STEPS):
            learner.observe(*windows(text.train, BATCH, generator), number)
            if number and step in (9, 19, 39, 79):
                highest = [max(h, now - was) for h, now, was in zip(highest, losses(learner), before, strict=False)]
        spikes += highest
        learned.append(losses(learner)[number])
    served = learner
    if ship:
        served = annealed(learner, [windows(all_texts[-1].train, BATCH, generator) for _ in range(ANNEAL)], ANNEAL)
    end = losses(served)
    return {
        "mean loss": sum(end) / len(end),
        "loss of the first": end[0],
        "rise of earlier ones": sum(now - was for now, was in zip(end[:-1], learned, strict=False)) / (len(end) - 1),
        "spike in 80 steps": sum(spikes) / len(spikes),
        "cosine of gradients": _cosine(learner, asked),
    }


def _cosine(learner: Learner, asked: list[tuple[Tensor, Tensor]]) -> float:
    """Return the cosine between the gradients of the first and of the last text."""
    found = []
    for x, y in (asked[0], asked[-1]):
        gradients = torch.autograd.grad(
            nn.functional.cross_entropy(learner.model(x), y), list(learner.model.parameters())
        )
        found.append(torch.cat([g.flatten() for g in gradients]))
    return float(nn.functional.cosine_similarity(found[0], found[1], dim=0))


def measure(options: Any) -> dict[str, Row]:
    """Return rows of replay, gradient alignment, general samples and fast and slow weights."""
    rows: dict[str, Strategies] = {
        "plain": (),
        "Reptile": Reptile(),
        "replay of 25 %": Replay(1000, 16),
        "replay of 25 %, Reptile": (Replay(1000, 16), Reptile()),
        "replay of 50 %": Replay(1000, 64),
        "replay of 25 %, slow copy": (Replay(1000, 16), SlowCopy(0.98)),
        "replay of 25 %, fast and slow": FastSlowReplay(1000, 16, decay=0.98),
        "general samples, labels": GeneralReplay(1000, 16, "labels"),
        "general samples, logits": GeneralReplay(1000, 16, "logits"),
        "general samples, features": GeneralReplay(1000, 16, "features"),
        "general samples, margin": GeneralReplay(1000, 16, "margin"),
    }
    of = texts(options.data)
    return {name: row_of(partial(once, of, s), options.seeds, RATES[:1]) for name, s in rows.items()}


def schedules(options: Any) -> dict[str, Row]:
    """Return rows of rates: one for ever, cosines that warm up again, and the infinite schedule."""
    of = texts(options.data)
    rows = {
        "constant": "",
        "cosine, warmed up again": "cosine",
        "infinite": "infinite",
        "infinite, annealed": "shipped",
    }

    def run(kind: str, rate: float, seed: int) -> dict[str, float]:
        plan = LearningRate("cosine" if kind == "cosine" else "infinite", rate, rate / 2, rate / 50, 40, 80, STEPS)
        return once(of, plan if kind else (), rate, seed, ship=kind == "shipped")

    return {
        name: row_of(partial(run, kind), options.seeds, RATES, "highest rate", "mean loss", lower=True)
        for name, kind in rows.items()
    }
