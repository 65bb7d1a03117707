"""Sequence tasks that are generated: tokens, and what is to be said at some of them.

    N sequences   L tokens   tokens 0 is nothing

Each is a function of a number of sequences and a generator, and returns inputs (N, L) and targets (N, L), `UNASKED` where
nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mnemos.neural.training import UNASKED, Batch

Task = Callable[[int, Generator], Batch]


@dataclass(frozen=True, slots=True)
class Recall:
    """Multi-query associative recall (MQAR, arXiv 2312.04927): keys and their values, and later some keys again.

    After `pairs` pairs, each key comes once more at a place drawn by a power law; its value is to be said. With `changed`,
    that many keys are told a second time with another value, after all were told: the last value is the right one.
    """

    length: int = 64
    pairs: int = 8
    vocabulary: int = 256  # half of it are keys, half values
    changed: int = 0  # keys that are told again
    power: float = 0.01  # of the law by which places are drawn; zoology's value

    def __call__(self, count: int, rng: Generator) -> Batch:
        """Return a batch."""
        half, pairs, told = self.vocabulary // 2, self.pairs, self.pairs + self.changed
        keys = 1 + torch.rand(count, half - 1, generator=rng).argsort(1)[:, :pairs]
        values = half + torch.rand(count, half, generator=rng).argsort(1)[:, :told]
        again = torch.rand(count, pairs, generator=rng).argsort(1)[:, : self.changed]
        told_keys = torch.cat([keys, keys.gather(1, again)], 1)
        last = values[:, :pairs].scatter(1, again, values[:, pairs:])  # what each key holds in the end
        inputs = torch.zeros(count, self.length, dtype=torch.long)
        targets = torch.full((count, self.length), UNASKED)
        inputs[:, : 2 * told : 2], inputs[:, 1 : 2 * told : 2] = told_keys, values
        free = self.length - 2 * told
        weights = torch.arange(1, free + 1, dtype=torch.float) ** (self.power - 1)
        places = 2 * told + weights.expand(count, free).multinomial(pairs, generator=rng)
        inputs.scatter_(1, places, keys)
        targets.scatter_(1, places, last)
        return Batch(inputs, targets)

    def first(self, batch: Batch) -> Tensor:
        """Return what a key that is asked for held at first (N, L), where it was told again; UNASKED elsewhere."""
        told = batch.inputs[:, : 2 * self.pairs]
        same = batch.inputs[:, :, None] == told[:, None, ::2]  # (N, L, pairs)
        value = (same * told[:, None, 1::2]).sum(-1)
        asked = (batch.targets != UNASKED) & (value != batch.targets)
        return torch.where(asked, value, UNASKED)


@dataclass(frozen=True, slots=True)
class Copying:
    """Say again what was shown, after a mark (arXiv 2312.00752): marks of a place each, or, `selective`, among blanks."""

    blanks: int = 64
    marks: int = 8
    symbols: int = 14
    selective: bool = False  # whether the symbols lie at drawn places among the blanks

    @property
    def vocabulary(self) -> int:
        """Return the number of tokens: a blank, a mark for "say it", and the symbols."""
        return self.symbols + 2

    def __call__(self, count: int, rng: Generator) -> Batch:
        """Return a batch of length blanks + 2 marks."""
        symbols = 2 + torch.randint(self.symbols, (count, self.marks), generator=rng)
        shown = torch.zeros(count, self.blanks + self.marks, dtype=torch.long)
        if self.selective:
            places = torch.rand(shown.shape, generator=rng).argsort(1)[:, : self.marks].sort(1).values
        else:
            places = torch.arange(self.marks).expand(count, -1)
        shown.scatter_(1, places, symbols)
        inputs = torch.cat([shown, torch.ones(count, self.marks, dtype=torch.long)], 1)
        targets = torch.cat([torch.full_like(shown, UNASKED), symbols], 1)
        return Batch(inputs, targets)


@dataclass(frozen=True, slots=True)
class Parity:
    """Say at every token whether the number of ones so far is odd: lengths are drawn, for training, from `shortest` on."""

    shortest: int = 3
    longest: int = 40

    @property
    def vocabulary(self) -> int:
        """Return the number of tokens: nothing, zero and one."""
        return 3

    def __call__(self, count: int, rng: Generator) -> Batch:
        """Return a batch of one length."""
        length = int(torch.randint(self.shortest, self.longest + 1, (1,), generator=rng))
        bits = torch.randint(2, (count, length), generator=rng)
        return Batch(1 + bits, 1 + bits.cumsum(1) % 2)


@dataclass(frozen=True, slots=True)
class Words:
    """Say at every token what the permutations so far make together: the group of `elements` things, S3 to S5.

    Permutations do not commute from three things on; of five, they need a state that no fixed depth can compute in parallel
    (arXiv 2404.08819).
    """

    elements: int = 5
    shortest: int = 3
    longest: int = 16
    generators: int = 0  # different permutations that occur; 0: all of the group

    @property
    def vocabulary(self) -> int:
        """Return the number of tokens: nothing, and one for each permutation."""
        return 1 + len(self.table())

    def table(self) -> Tensor:
        """Return all permutations, (n!, n)."""
        from itertools import permutations

        return torch.tensor(list(permutations(range(self.elements))))

    def __call__(self, count: int, rng: Generator) -> Batch:
        """Return a batch of one length."""
        group = self.table()
        weights = self.elements ** torch.arange(self.elements)
        code = torch.zeros(int(self.elements**self.elements), dtype=torch.long)
        code[(group * weights).sum(1)] = torch.arange(len(group))
        length = int(torch.randint(self.shortest, self.longest + 1, (1,), generator=rng))
        chosen = torch.randint(self.generators or len(group), (count, length), generator=rng)
        now, said = torch.arange(self.elements).expand(count, -1), []
        for step in chosen.unbind(1):
            now = group[step].gather(1, now)  # this permutation after the ones before
            said.append(code[(now * weights).sum(1)])
        return Batch(1 + chosen, 1 + torch.stack(said, 1))


def seeded(task: Task, batch: int, seed: int) -> Callable[[int], Batch]:
    """Return the batch of each step of a training; another seed draws others."""
    return lambda step: task(batch, torch.Generator().manual_seed(1_000_003 * seed + step))
