"""Attendre on facts and questions: queries that wait, and eviction by use (see `mnemos.activation.forget.attendre`).

A token is a fact (a key and a value) or a question (a key) that is answered at its own position. "told later": four
questions, and only then the facts. "asked again": four facts, two of which are asked for again and again while others
arrive; the model is trained with all entries and asked with six.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mnemos.activation.forget.attendre import Attendre
from mnemos.bench.kv.trained_layers import train_layer

FACTS, VALUES, WIDTH, CHUNK = 12, 9, 32, 4
EVERY, FEW = 99, 6  # entries held: all of a text, and half of its facts
LATER, AGAIN = [0, 1, 2, 3], [4, 5, 8, 9, 12, 13, 16, 17]  # positions of the questions
TEST_SEED = 54_000
Policy = Literal["fifo", "lfa", "lra"]
Texts = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]  # texts (N, T, 2), the values asked for (N, Q)


class Reader(nn.Module):  # type: ignore[misc]
    """Embeds facts and questions, (key, value or 0), and reads them with one layer."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.keys, self.values = nn.Embedding(FACTS, WIDTH), nn.Embedding(VALUES, WIDTH)
        self.layer, self.out = Attendre(WIDTH, chunk=CHUNK, **options), nn.Linear(WIDTH, VALUES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the values at each position, (N, T, VALUES)."""
        logits: Tensor = self.out(self.layer(self.keys(x[..., 0]) + self.values(x[..., 1])))
        return logits


def drawn(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return the values of twelve keys (N, 12), their facts and their questions, (N, 12, 2)."""
    keys = torch.rand(count, FACTS, generator=rng).argsort(1)
    values = torch.randint(1, VALUES, (count, FACTS), generator=rng)
    return values, torch.stack((keys, values), -1), torch.stack((keys, torch.zeros_like(values)), -1)


def told_later(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return texts of four questions, and only then the facts."""
    values, facts, questions = drawn(count, rng)
    return torch.cat((questions[:, :4], facts[:, [2, 0, 3, 1]], facts[:, 4:8]), 1), values[:, :4]


def asked_again(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return texts of four facts, of which two are asked for again and again while other facts arrive."""
    values, facts, questions = drawn(count, rng)
    parts = [facts[:, :4]]
    for first in range(4, 12, 2):
        parts += [questions[:, :2], facts[:, first : first + 2]]
    return torch.cat(parts, 1), values[:, :2].repeat(1, 4)


def train(name: str, texts: Texts, asked: Sequence[int], steps: int, **options: Any) -> Reader:
    """Return a reader that was trained to answer at these positions."""
    rng = torch.Generator().manual_seed(0)

    def loss(model: nn.Module) -> Tensor:
        x, y = texts(48, rng)
        return cross_entropy(model(x)[:, asked].flatten(0, 1), y.flatten())

    trained: Reader = train_layer(f"attendre-{name}", lambda: Reader(**options), loss, steps, rate=6e-3)
    return trained


def later(delay: int) -> Reader:
    """Return the reader of "told later" whose queries wait `delay` tokens."""
    return train(f"later-{delay}", told_later, LATER, 150, memory=12, delay=delay)


def again() -> Reader:
    """Return the reader of "asked again"."""
    return train("again", asked_again, AGAIN, 200, memory=EVERY)


def right(model: nn.Module, texts: Texts, asked: Sequence[int], contexts: int) -> Tensor:
    """Return the shares answered at each position, (Q,)."""
    x, y = texts(contexts, torch.Generator().manual_seed(TEST_SEED))
    shares: Tensor = (model(x)[:, asked].argmax(-1) == y).float().mean(0)
    return shares


def measure(contexts: int) -> dict[str, dict[str, float]]:
    """Return the answers by how long queries wait, and by which entries are evicted (the last two questions)."""
    waits = {"answered at once": 0, "attendre: answered a chunk later": CHUNK, "answered at the end": EVERY}
    found = {
        "told later": {
            n: round(float(right(later(d), told_later, LATER, contexts).mean()), 4) for n, d in waits.items()
        }
    }
    model = again()
    rows: dict[str, float] = {}
    held: tuple[tuple[str, int, Policy], ...] = (
        ("all entries", EVERY, "fifo"), ("fifo, 6 entries", FEW, "fifo"), ("attendre: lfa, 6 entries", FEW, "lfa"),
        ("attendre: lra, 6 entries", FEW, "lra"),
    )  # fmt: skip
    for name, memory, policy in held:
        model.layer.memory, model.layer.policy = memory, policy
        rows[name] = round(float(right(model, asked_again, AGAIN, contexts)[-2:].mean()), 4)
    return found | {"asked again": rows}
