"""Keys and values that are shown once and asked for later, as vectors: recall without tokens, learned in seconds.

    N sequences   P pairs   L = 2 P + gap inputs   K channels of a key   C classes

An input is a key, the class of its value (one-hot) and three flags: shown, asked, nothing. After all pairs and a gap of
inputs that say nothing the keys come once more in another order, and the class of each is to be said; nothing but the
memory of a layer can connect the two. Keys are drawn for each sequence, so that they are no words that could be learned.
After "stacked MQAR" of zoology.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mnemos.neural.training import UNASKED, Batch


@dataclass(frozen=True, slots=True)
class Pairs:
    """A task; see the module."""

    pairs: int = 16
    gap: int = 8  # inputs between the last pair and the first question
    key: int = 16
    classes: int = 16
    changed: int = 0  # pairs that are shown a second time, with another class, after all: the last one is right
    alike: float = 0.0  # share of a direction that all keys of a sequence have in common
    outliers: float = 0.0  # share of pairs that are shown at `loud` times their size, and never asked for
    loud: float = 20.0

    @property
    def inputs(self) -> int:
        """Return the channels of an input."""
        return self.key + self.classes + 3

    def __call__(self, count: int, rng: Generator) -> Batch:
        """Return a batch of inputs (N, L, channels) and targets (N, L)."""
        keys = F.normalize(torch.randn(count, self.pairs, self.key, generator=rng), dim=-1)
        common = F.normalize(torch.randn(count, 1, self.key, generator=rng), dim=-1)
        keys = F.normalize((1 - self.alike) * keys + self.alike * common, dim=-1)
        classes = torch.randint(self.classes, (count, self.pairs), generator=rng)
        again = torch.rand(count, self.pairs, generator=rng).argsort(1)[:, : self.changed]
        other = torch.randint(1, self.classes, again.shape, generator=rng)
        last = classes.scatter(1, again, (classes.gather(1, again) + other) % self.classes)
        shown_keys = torch.cat([keys, _take(keys, again)], 1)
        shown = torch.cat([classes, last.gather(1, again)], 1)
        order = torch.rand(count, self.pairs, generator=rng).argsort(1)
        asked_keys, targets = _take(keys, order), last.gather(1, order)
        written = self.part(shown_keys, F.one_hot(shown, self.classes).float(), 0)
        if self.outliers:
            loud = torch.rand(count, self.pairs + self.changed, 1, generator=rng) < self.outliers
            values = slice(self.key, self.key + self.classes)
            written[..., values] = torch.where(loud, self.loud * written[..., values], written[..., values])
            targets = torch.where(loud[:, : self.pairs, 0].gather(1, order), UNASKED, targets)
        silent = self.part(torch.zeros(count, self.gap, self.key), torch.zeros(count, self.gap, self.classes), 2)
        questions = self.part(asked_keys, torch.zeros(count, self.pairs, self.classes), 1)
        before = torch.full((count, written.shape[1] + self.gap), UNASKED)
        return Batch(torch.cat([written, silent, questions], 1), torch.cat([before, targets], 1))

    @staticmethod
    def part(keys: Tensor, values: Tensor, flag: int) -> Tensor:
        """Return inputs with a flag, each part of about the same size."""
        flags = F.one_hot(torch.full(keys.shape[:2], flag), 3).float()
        return torch.cat([keys * keys.shape[-1] ** 0.5, values * values.shape[-1] ** 0.5, flags], -1)


def _take(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[2]))
