"""Chunks compressed into a few vectors and restored: a part of `mnemos bench slot-readers`."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.neural.learning import fitted
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.reversible import ReversibleMemory
from mnemos.neural.slots.segment import SlotSegment

WORDS, OWN, LENGTH, WIDTH = 16, 6, 8, 48  # all words, those of a text, tokens of a chunk, channels
BATCH, STEPS, RATE = 32, 300, 1e-2


def chunks(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a chunk and the next one, both (B, 8), whose words are drawn of 6 words of the text."""
    own = torch.rand(count, WORDS, generator=draw).argsort(1)[:, :OWN]
    both = own.gather(1, torch.randint(OWN, (count, 2 * LENGTH), generator=draw))
    return both[:, :LENGTH], both[:, LENGTH:]


class Reader(SlotSegment):
    """Reads a segment with vectors that it does not change."""

    def write(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return the vectors."""
        return slots


class Text(nn.Module):  # type: ignore[misc]
    """Words to vectors, what compresses them, and a reader of the next segment."""

    def __init__(self, slots: int, shared: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.memory = ReversibleMemory(WIDTH, slots, length=LENGTH, shared=shared)
        self.reader, self.out = Reader(WIDTH, slots, 2, LENGTH), nn.Linear(WIDTH, WORDS)

    def losses(self, chunk: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the losses of restoring, of the cycle and of the next segment, and the words that are restored."""
        kept = self.memory.compress(self.embed(chunk))
        restored = self.memory.restore(kept, LENGTH)
        logits = restored @ self.embed.weight.T / WIDTH**0.5
        told = F.cross_entropy(logits.flatten(0, 1), chunk.flatten())
        return told, self.memory.cycle(kept.detach(), restored), self.next(after, kept), logits.argmax(-1)

    def next(self, after: Tensor, kept: Tensor) -> Tensor:
        """Return the loss of a segment that is read with vectors (B, M, D)."""
        logits = self.out(self.reader(self.embed(after[:, :-1]), kept)[0])
        return F.cross_entropy(logits.flatten(0, 1), after[:, 1:].flatten())


def compressed(options: Any) -> dict[str, Row]:
    """Return words that are restored from few vectors, and the loss of the next segment with and without them."""

    def run(slots: int, shared: bool, seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model = Text(slots, shared)

        def loss(draw: torch.Generator) -> Tensor:
            chunk, after = chunks(BATCH, draw)
            told, cycle, follows, _ = model.losses(chunk, after)
            return told + 0.1 * cycle + follows + model.next(after, torch.zeros(BATCH, slots, WIDTH))

        fitted(model.parameters(), loss, STEPS, seed, RATE)
        with torch.no_grad():
            chunk, after = chunks(500, rng(77 + seed))
            _, _, follows, words = model.losses(chunk, after)
            return {
                "restored %": float((words == chunk).double().mean()),
                "loss of the next segment": float(follows),
                "without memory": float(model.next(after, torch.zeros(500, slots, WIDTH))),
                "tokens a vector": LENGTH / slots,
                "parameters": sum(p.numel() for p in model.memory.parameters()),
            }

    rows = {
        f"{name}, {slots} vectors": (slots, shared)
        for name, shared in (("reversible", True), ("one way", False))
        for slots in (4, 2)
    }
    constant = ("parameters", "tokens a vector")
    return {name: seeded(options.seeds, partial(run, *row), constant) for name, row in rows.items()}
