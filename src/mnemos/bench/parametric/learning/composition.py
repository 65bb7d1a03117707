"""Three skills of a small transformer, learned in different orders and shares: what each keeps.

Rows of ten tokens, with one answer each: sums modulo 23 ("sums") and what is on top of a stack after pushes and pops ("stacks")
are special skills, the most frequent of the tokens ("general") is the general one. 2,048 rows of each to learn, 512 to test, as
many steps for all ways. In two stages the special skills are learned together, then the general one beside a share of the rows of
the special ones. `special lost %`: how much less of the special skills is known than after the first stage, mean of both. The
rate was chosen on seed 100.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.learning.lives import Life, accuracy, batches
from mnemos.bench.parametric.learning.streams import Labelled
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.learner import Learner

TOKENS, WIDTH, ANSWERS = 30, 10, 23  # of the vocabulary, of a row, of answers
LEARNED, TEST = 2048, 512  # rows of a skill
RATE, BATCH, EPOCHS = 3e-3, 32, 8
POP, PAD = 23, 24  # tokens; those below are numbers
SHARES = {"1/256": 1 / 256, "1/64": 1 / 64, "1/16": 1 / 16}  # of the special rows, in the second stage


class Small(nn.Module):  # type: ignore[misc]
    """A transformer of two layers that reads rows of tokens (N, T) and gives one answer for each."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(TOKENS, width), nn.Parameter(0.1 * torch.randn(WIDTH, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.answer = nn.Linear(width, ANSWERS)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, answers)."""
        logits: Tensor = self.answer(self.layers(self.embed(x) + self.places).mean(1))
        return logits


def sums(count: int, generator: torch.Generator) -> Labelled:
    """Return pairs of numbers and their sums modulo 23; token 25 says what is asked."""
    pairs = torch.randint(ANSWERS, (count, 2), generator=generator)
    rows = torch.full((count, WIDTH), PAD)
    rows[:, 0], rows[:, 1:3] = 25, pairs
    return Labelled(rows, pairs.sum(1) % ANSWERS)


def stacks(count: int, generator: torch.Generator) -> Labelled:
    """Return pushes and pops, and what is on top in the end; token 26 says what is asked."""
    rows, answers = torch.full((count, WIDTH), 26), torch.empty(count, dtype=torch.long)
    for row in range(count):
        held: list[int] = []
        for place in range(1, WIDTH):
            draw = float(torch.rand((), generator=generator))
            if len(held) > 1 and draw < 0.4:
                held.pop()
                rows[row, place] = POP
            else:
                held.append(int(torch.randint(8, (), generator=generator)))
                rows[row, place] = held[-1]
        answers[row] = held[-1]
    return Labelled(rows, answers)


def general(count: int, generator: torch.Generator) -> Labelled:
    """Return numbers and the most frequent one of them, the smaller of two; token 27 says what is asked."""
    rows = torch.randint(6, (count, WIDTH), generator=generator)
    answers = nn.functional.one_hot(rows[:, 1:], 6).sum(1).argmax(1)
    rows[:, 0] = 27
    return Labelled(rows, answers)


SKILLS: dict[str, Callable[[int, torch.Generator], Labelled]] = {"sums": sums, "stacks": stacks, "general": general}


def measure(options: Any) -> dict[str, Row]:
    """Return the figures of every way."""
    runs = [once(seed) for seed in range(options.seeds)]
    return {way: over_seeds([run[way] for run in runs], ()) for way in runs[0]}


def once(seed: int, rate: float = RATE) -> dict[str, dict[str, float]]:
    """Return the figures of one seed, by way."""
    generator = torch.Generator().manual_seed(seed)
    learned = {name: make(LEARNED, generator) for name, make in SKILLS.items()}
    asked = {name: make(TEST, generator) for name, make in SKILLS.items()}
    special = together(learned["sums"], learned["stacks"])

    def way(*stages: Labelled) -> dict[str, float]:
        torch.manual_seed(seed)
        learner = Learner(Small(), (), optimise=partial(torch.optim.Adam, lr=rate), seed=seed)
        draw = torch.Generator().manual_seed(seed)
        for x, y in stages:
            for rows in batches(len(y), Life(batch=BATCH, epochs=EPOCHS), draw):
                learner.observe(x[rows], y[rows])
        return {f"{name} %": accuracy(learner, part) for name, part in asked.items()}

    first = way(special)
    found = {
        "all mixed": way(together(*learned.values())),
        "in turn": way(*learned.values()),
        "two stages, nothing again": way(special, learned["general"]),
    }
    for name, share in SHARES.items():
        rows = torch.randperm(len(special.y), generator=generator)[: int(share * len(special.y))]
        again = Labelled(special.x[rows], special.y[rows])
        found[f"two stages, {name} again"] = way(special, together(learned["general"], again))
    for row in found.values():
        row["special lost %"] = sum(first[f"{name} %"] - row[f"{name} %"] for name in ("sums", "stacks")) / 2
    return found


def together(*parts: Labelled) -> Labelled:
    """Return the rows of all."""
    return Labelled(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))
