"""State tracking at longer lengths than were trained: the ladder of what recurrences can follow.

- parity of ones so far, trained up to 40 tokens, tested at 256; chance is 50 %.
- sums modulo 5 and words of the group S3 (permutations of three, which do not commute), trained up to 16, tested at 64;
  chance is 20 % and 16.7 %.

Shares of all tokens that are right. One layer of width 32 and no short convolution, 200 steps of 64 sequences
for parity, 400 for sums and S3, at one rate; both were fixed on another seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator

from mnemos.bench.neural.learning import Model, learn
from mnemos.bench.neural.sequences import Parity, Task, Words
from mnemos.neural.model import Layer
from mnemos.neural.training import Batch, Recipe, accuracy

LAYERS: dict[str, Layer] = {
    "lstm": "lstm",
    "gru": "gru",
    "slstm": "slstm",
    "bilinear, full": ("bilinear-rnn", {"transition": "full", "hidden": 16}),
    "bilinear, factorised": ("bilinear-rnn", {"transition": "factorised", "hidden": 32}),
    "bilinear, rotations": ("bilinear-rnn", {"transition": "rotation"}),
    "bilinear, signed diagonal": ("bilinear-rnn", {"transition": "signed"}),
    "bilinear, positive diagonal": ("bilinear-rnn", {"transition": "positive"}),
    "linear-attention": "linear-attention",
}
ROWS = tuple(LAYERS)
ASKED: dict[str, tuple[str, ...]] = {  # what each is measured on: what it claims, and what it claims not to do
    "lstm": ("parity",), "gru": ("parity",), "slstm": ("parity",), "linear-attention": ("parity",),
    "bilinear, full": ("words of S3",), "bilinear, factorised": ("words of S3",),
    "bilinear, rotations": ("modular", "words of S3"), "bilinear, signed diagonal": ("parity", "modular"),
    "bilinear, positive diagonal": ("parity",),
}  # fmt: skip
RATE = 1e-2


@dataclass(frozen=True, slots=True)
class Modular:
    """Say at every token the sum so far, modulo a number."""

    modulus: int = 5
    shortest: int = 3
    longest: int = 16
    vocabulary: int = 6

    def __call__(self, count: int, rng: Generator) -> Batch:
        """Return a batch of one length."""
        length = int(torch.randint(self.shortest, self.longest + 1, (1,), generator=rng))
        digits = torch.randint(self.modulus, (count, length), generator=rng)
        return Batch(1 + digits, 1 + digits.cumsum(1) % self.modulus)


def one(row: str, seed: int) -> dict[str, float]:
    """Return the shares of a layer at the longer lengths."""
    found: dict[str, float] = {}
    for task in ASKED[row]:
        if task == "parity":
            found[task] = _longer(
                LAYERS[row], Parity(), 3, replace(Parity(), shortest=256, longest=256), seed, steps=200
            )
        else:
            short: Modular | Words = Modular() if task == "modular" else Words(3)
            stretched = replace(short, shortest=64, longest=64)
            found[task] = _longer(LAYERS[row], short, 6 if task == "modular" else 7, stretched, seed)
    return found


def _longer(
    layer: Layer, task: Task, vocabulary: int, longer: Task, seed: int, width: int = 32,
    steps: int = 400,
) -> float:  # fmt: skip
    recipe = Recipe(steps=steps, rate=RATE, decay=0.01, check=steps)
    lm, _ = learn(Model([layer], width, kernel=0), task, vocabulary, recipe, seed=seed)
    return accuracy(lm, longer(200, Generator().manual_seed(77)))
