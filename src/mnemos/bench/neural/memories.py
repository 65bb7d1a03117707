"""Small networks that differ in their memory alone, and the loop that trains them.

    B sequences of a batch, T steps, I inputs of a step, H width, O outputs

Each takes one-hot or real inputs (B, T, I) and returns (B, T, O). Widths are chosen so that parameters are about equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Memory = Literal["gru", "gru with memory", "window", "full"]
MEMORIES: tuple[Memory, ...] = ("gru", "gru with memory", "window", "full")
Batch = tuple[Tensor, Tensor, Tensor]  # inputs (B, T, I), classes (B, T), and which steps count (B, T)


class Recurrent(nn.Module):  # type: ignore[misc]
    """A GRU: all that it remembers is in its state, (B, H)."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.cell = nn.GRU(inputs, width, batch_first=True)
        self.out = head(width, width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, O)."""
        return self.out(self.cell(x)[0])


class Remembering(nn.Module):  # type: ignore[misc]
    """A GRU with a memory beside it: it writes a key and a value of every input, and reads them by a query of its state."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.cell = nn.GRU(inputs, width, batch_first=True)
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(inputs, width), nn.Linear(inputs, width)
        self.slope = nn.Parameter(torch.tensor(0.1))  # how much older entries are worth less, a step
        self.out = head(2 * width, width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, O)."""
        h = self.cell(x)[0]
        place = torch.arange(x.shape[1])
        scores = self.query(h) @ self.key(x).transpose(1, 2) - self.slope * (place[:, None] - place)  # (B, T, T)
        read = causal(scores).softmax(-1) @ self.value(x)
        return self.out(torch.cat([h, read], -1))


class Attending(nn.Module):  # type: ignore[misc]
    """A decoder of two layers whose attention reaches back `window` steps in each, or to the beginning (None)."""

    def __init__(self, inputs: int, width: int, outputs: int, window: int | None = None, heads: int = 2) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.mixes = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(2))
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.slopes = nn.Parameter(torch.tensor([0.5, 0.0] * (heads // 2)))  # a bias by distance, learned (ALiBi)
        self.window, self.heads = window, heads

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, O)."""
        h = self.enter(x)
        batch, steps, width = h.shape
        place = torch.arange(steps)
        back = (place[:, None] - place[None, :]).float()
        for mix, norm, feed in zip(self.mixes, self.norms, self.feeds, strict=True):
            parts = mix(norm(h)).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, B, heads, T, D)
            scores = parts[0] @ parts[1].transpose(-1, -2) / (width / self.heads) ** 0.5
            scores = scores - self.slopes[:, None, None] * back
            scores = causal(scores, self.window)
            h = h + (scores.softmax(-1) @ parts[2]).transpose(1, 2).reshape(batch, steps, width)
            h = h + feed(h)
        return self.out(h)


def head(inputs: int, width: int, outputs: int) -> nn.Module:
    """Return what makes outputs of a state: one hidden layer, so that two parts of it can be compared."""
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, outputs))


def causal(scores: Tensor, window: int | None = None) -> Tensor:
    """Return scores (..., T, T) with -inf where a step would see a later one, or one `window` steps back or more."""
    steps = scores.shape[-1]
    place = torch.arange(steps)
    back = place[:, None] - place[None, :]
    hidden = back < 0 if window is None else (back < 0) | (back >= window)
    return scores.masked_fill(hidden, float("-inf"))


def build(memory: Memory, inputs: int, outputs: int, parameters: int, window: int, seed: int) -> nn.Module:
    """Return a network with the most parameters that are not above a number; the state of the process is left alone."""

    def of(width: int) -> nn.Module:
        if memory == "gru":
            return Recurrent(inputs, width, outputs)
        if memory == "gru with memory":
            return Remembering(inputs, width, outputs)
        return Attending(inputs, width, outputs, window if memory == "window" else None)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = 8
        while size(of(width + 4)) <= parameters:
            width += 4
        torch.manual_seed(seed)
        return of(width)


def size(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in model.parameters())


def train(model: nn.Module, draw: Callable[[int], Batch], steps: int, rate: float = 3e-3) -> float:
    """Train by Adam for a number of steps on `draw(step)`, with a linear decay; return the last loss, nats a step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    last = float("nan")
    for step in range(steps):
        x, y, counts = draw(step)
        loss = nn.functional.cross_entropy(model(x)[counts], y[counts])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        last = loss.item()
    return last


def predictions(model: nn.Module, x: Tensor) -> Tensor:
    """Return the most likely class of every step, (B, T)."""
    with torch.no_grad():
        return model(x).argmax(-1)
