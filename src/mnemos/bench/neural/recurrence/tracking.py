"""State tracking at longer lengths than were trained: the ladder of what recurrences can follow.

- parity of ones so far, trained up to 40 tokens, tested at 256; chance is 50 %.
- sums modulo 5 and words of the group S3 (permutations of three, which do not commute), trained up to 16, tested at 64;
  chance is 20 % and 16.7 %.
- words of S5, of all 120 permutations, for four of the layers; chance is 0.8 %.

Shares of all tokens that are right. One layer of width 32 (64 for S5) and no short convolution, 400 steps of 64 sequences
(1,200 for S5) at one rate, fixed on another seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator

from mnemos.bench.neural.learning import Model, learn
from mnemos.bench.neural.sequences import Parity, Task, Words
from mnemos.neural.model import Layer
from mnemos.neural.training import Batch, Recipe, accuracy

LAYERS: dict[str, Layer] = {
    "tanh-rnn": "tanh-rnn",
    "lstm": "lstm",
    "gru": "gru",
    "slstm": "slstm",
    "bilinear, full": ("bilinear-rnn", {"transition": "full", "hidden": 16}),
    "bilinear, factorised": ("bilinear-rnn", {"transition": "factorised", "hidden": 32}),
    "bilinear, rotations": ("bilinear-rnn", {"transition": "rotation"}),
    "bilinear, signed diagonal": ("bilinear-rnn", {"transition": "signed"}),
    "bilinear, positive diagonal": ("bilinear-rnn", {"transition": "positive"}),
    "linear-attention": "linear-attention",
    "gated-linear-attention": "gated-linear-attention",
}
S5: dict[str, Layer] = {
    "lstm": "lstm",
    "bilinear, full": ("bilinear-rnn", {"transition": "full", "hidden": 32}),
    "bilinear, factorised": ("bilinear-rnn", {"transition": "factorised", "hidden": 64}),
    "bilinear, rotations": ("bilinear-rnn", {"transition": "rotation"}),
}
ROWS = tuple(LAYERS)
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
    layer = LAYERS[row]
    found = {
        "parity": _longer(layer, Parity(), 3, lambda t: replace(t, shortest=256, longest=256), seed),
        "modular": _longer(layer, Modular(), 6, lambda t: replace(t, shortest=64, longest=64), seed),
        "words of S3": _longer(layer, Words(3), 7, lambda t: replace(t, shortest=64, longest=64), seed),
    }
    if row in S5:
        longer = replace(Words(5), shortest=64, longest=64)
        layer = S5[row]
        found["words of S5"] = _longer(layer, Words(5), 121, lambda _: longer, seed, width=64, steps=1200)
    return found


def _longer(
    layer: Layer, task: Task, vocabulary: int, stretch: Callable[..., Task], seed: int, width: int = 32,
    steps: int = 400,
) -> float:  # fmt: skip
    recipe = Recipe(steps=steps, rate=RATE, decay=0.01, check=steps)
    lm, _ = learn(Model([layer], width, kernel=0), task, vocabulary, recipe, seed=seed)
    return accuracy(lm, stretch(task)(200, Generator().manual_seed(77)))
