"""A decoder of letters, and the plays that it learns: trained in a minute, with the layers that large ones have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import NotFound

TESTED = 0.05  # of the text, at its end, that no training sees


class Letters:
    """A text as numbers of its letters, the last part apart."""

    def __init__(self, folder: Path) -> None:
        path = folder / "shakespeare" / "input.txt"
        if not path.exists():
            raise NotFound(f"there is no {path}: put the plays (char-rnn's input.txt) there.")
        text = path.read_text(encoding="utf-8")
        self.alphabet = sorted(set(text))
        self.count = len(self.alphabet)
        number = {letter: i for i, letter in enumerate(self.alphabet)}
        ids = torch.tensor([number[letter] for letter in text])
        cut = round((1 - TESTED) * len(ids))
        self.trained, self.tested = ids[:cut], ids[cut:]

    def batch(self, rows: int, length: int, seed: int) -> Tensor:
        """Return rows (rows, length + 1) drawn from what is trained on."""
        generator = torch.Generator().manual_seed(seed)
        starts = torch.randint(len(self.trained) - length - 1, (rows,), generator=generator)
        return torch.stack([self.trained[at : at + length + 1] for at in starts.tolist()])

    def tests(self, rows: int, length: int) -> Tensor:
        """Return the first rows (rows, length + 1) of what is not trained on."""
        return self.tested[: rows * (length + 1)].view(rows, length + 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a decoder."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    length: int = 128  # tokens at most
    activation: Callable[[], nn.Module] = nn.GELU


class Block(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """Causal attention and a feed-forward layer, each on the normed sum of those below."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), shape.activation(), nn.Linear(4 * d, d))

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, T, D)."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class Decoder(nn.Module):  # type: ignore[misc]
    """Tokens (B, T) to logits (B, T, vocabulary)."""

    def __init__(self, vocabulary: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(vocabulary, shape.width)
        self.places = nn.Parameter(torch.randn(shape.length, shape.width) * 0.02)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm, self.head = nn.LayerNorm(shape.width), nn.Linear(shape.width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of what follows each token."""
        x = self.embed(tokens) + self.places[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        said: Tensor = self.head(self.norm(x))
        return said


def loss_of(model: nn.Module, rows: Tensor) -> Tensor:
    """Return the mean loss of the next letter, in nats."""
    return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def train(
    model: nn.Module, optimiser: torch.optim.Optimizer, letters: Letters, steps: int, seed: int, batch: int = 16, first: int = 0,
    after: Callable[[int], None] = lambda step: None,
) -> None:  # fmt: skip
    """Train a decoder of letters for some steps, at the rate of the optimiser; `after` is called with the number of each step."""
    for step in range(first, first + steps):
        optimiser.zero_grad()
        loss_of(model, letters.batch(batch, model.shape.length, seed * 1_000_003 + step)).backward()
        optimiser.step()
        after(step)


def loss_on_tests(model: nn.Module, letters: Letters, rows: int = 128) -> float:
    """Return the mean loss on text that was not trained on, in nats a letter."""
    with torch.no_grad():
        parts = letters.tests(rows, model.shape.length).split(32)
        return sum(float(loss_of(model, part)) * len(part) for part in parts) / rows
