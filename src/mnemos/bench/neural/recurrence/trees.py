"""Nested expressions, deeper than those of training: a tree LSTM, a recursive network, and a chain that reads them.

Expressions of two arguments: minimum, maximum, and sum modulo 10 of digits; trained at depths 1 to 4, 500 steps of 64
expressions, 64 units (the chain has as many weights). The chain LSTM reads the expression with its operators in front.
Always saying the likeliest digit is right for some 15 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn

from mnemos.neural.recurrent.lstm import LSTM
from mnemos.neural.recurrent.tree_lstm import TreeLSTM, Trees

DIGITS, OPERATORS, WIDTH, UNITS = 10, 3, 32, 64
DEPTHS = (4, 6, 8)
ROWS = ("tree-lstm", "recursive network", "chain lstm")


@dataclass(frozen=True, slots=True)
class Expressions:
    """Nodes of expressions, children first, and their values."""

    tokens: Tensor  # (N) a digit, or 10 + operator
    trees: Trees
    values: Tensor  # (trees) of the roots
    written: list[list[int]]  # tokens of each, operators in front


def expressions(depth: int, count: int, rng: Random) -> Expressions:
    """Return expressions of exactly this depth."""
    tokens: list[int] = []
    left: list[int] = []
    right: list[int] = []
    values: list[int] = []

    def node(token: int, a: int, b: int, value: int) -> int:
        tokens.append(token)
        left.append(a)
        right.append(b)
        values.append(value)
        return len(tokens) - 1

    def tree(depth: int) -> tuple[int, list[int]]:
        if not depth:
            digit = rng.randrange(DIGITS)
            return node(digit, -1, -1, digit), [digit]
        deep, other = tree(depth - 1), tree(rng.randrange(min(depth, 3)))
        (a, read_a), (b, read_b) = (deep, other) if rng.randrange(2) else (other, deep)
        operator, x, y = rng.randrange(OPERATORS), values[a], values[b]
        token = DIGITS + operator
        return node(token, a, b, (min(x, y), max(x, y), (x + y) % 10)[operator]), [token, *read_a, *read_b]

    made = [tree(depth) for _ in range(count)]
    roots = [root for root, _ in made]
    return Expressions(
        torch.tensor(tokens),
        Trees.of(left, right, roots),
        torch.tensor([values[r] for r in roots]),
        [w for _, w in made],
    )


class TreeReader(nn.Module):  # type: ignore[misc]
    """Says the value of each tree from its root."""

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(DIGITS + OPERATORS, WIDTH)
        self.tree, self.out = TreeLSTM(WIDTH, UNITS, plain=plain), nn.Linear(UNITS, DIGITS)

    def forward(self, given: Expressions) -> Tensor:
        """Return logits (trees, 10)."""
        h, _ = self.tree(self.embed(given.tokens), given.trees)
        logits: Tensor = self.out(h[given.trees.roots])
        return logits


class ChainReader(nn.Module):  # type: ignore[misc]
    """Says the value of each expression after its last token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(DIGITS + OPERATORS, WIDTH)
        self.chain, self.out = LSTM(WIDTH, 96), nn.Linear(WIDTH, DIGITS)

    def forward(self, given: Expressions) -> Tensor:
        """Return logits (trees, 10)."""
        length = max(map(len, given.written))
        tokens = torch.tensor([[*w, *[0] * (length - len(w))] for w in given.written])
        y, _ = self.chain(self.embed(tokens))
        last = torch.tensor([len(w) - 1 for w in given.written])
        logits: Tensor = self.out(y[torch.arange(len(last)), last])
        return logits


def one(row: str, seed: int) -> dict[str, float]:
    """Return the shares that are right at each depth."""
    torch.manual_seed(seed)
    model = ChainReader() if row == "chain lstm" else TreeReader(row == "recursive network")
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    steps = 500
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, steps)
    for step in range(steps):
        given = expressions(1 + step % 4, 64, Random(1_000_003 * seed + step))
        loss = nn.functional.cross_entropy(model(given), given.values)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    found: dict[str, float] = {}
    with torch.no_grad():
        for depth in DEPTHS:
            given = expressions(depth, 300, Random(10_000_019))
            found[f"right at depth {depth}"] = float((model(given).argmax(1) == given.values).double().mean())
    return found | {"weights": float(sum(p.numel() for p in model.parameters()))}
