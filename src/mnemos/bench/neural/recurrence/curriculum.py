"""Parity of the last N bits, N growing as it is learned: a head for the present N alone, or one for each N so far.

Networks have 64 units and 800 steps of 64 sequences; N grows by one when 98 % are right. `before` is what a network
that ended at N says of N - 1 by the head that had learned it; tau is the mean of the time constants of units (1.5 at the
start).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from mnemos.neural.model import mixer
from mnemos.neural.recurrent.leaky_rnn import LeakyRNN

UNITS, STEPS, BATCH, MOST = 64, 800, 64, 40
ROWS = (
    "leaky-rnn, one head", "leaky-rnn, heads for all N", "gru, one head", "gru, heads for all N",
)  # fmt: skip


class Heads(nn.Module):  # type: ignore[misc]
    """A layer of units that reads bits, and a head for each N from 2 on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.enter, self.layer = nn.Linear(1, UNITS), mixer(name, UNITS)
        self.heads = nn.Linear(UNITS, MOST)

    def forward(self, bits: Tensor) -> Tensor:
        """Return logits (B, MOST) after bits (B, T)."""
        y, _ = self.layer(self.enter(2.0 * bits[..., None] - 1))
        logits: Tensor = self.heads(y[:, -1])
        return logits


def bits_for(n: int, count: int, rng: Generator) -> Tensor:
    """Return bits (B, T), T drawn between N + 2 and 2 N + 2."""
    length = int(torch.randint(n + 2, 2 * n + 3, (1,), generator=rng))
    return torch.randint(2, (count, length), generator=rng)


def right(model: Heads, n: int, seed: int) -> float:
    """Return the share of sequences whose parity of the last n bits is right."""
    bits = bits_for(n, 512, Generator().manual_seed(seed))
    with torch.no_grad():
        said = model(bits)[:, n] > 0
    return float((said == (bits[:, -n:].sum(1) % 2 == 1)).double().mean())


def one(row: str, seed: int) -> dict[str, float]:
    """Return what a curriculum reaches."""
    name, _, curriculum = row.partition(", ")
    torch.manual_seed(seed)
    model, n, reached, steps_to = Heads(name), 2, 1, 0
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(STEPS):
        bits = bits_for(n, BATCH, Generator().manual_seed(1_000_003 * seed + step))
        logits = model(bits)
        asked = [n] if curriculum == "one head" else list(range(2, n + 1))
        loss = torch.stack(
            [F.binary_cross_entropy_with_logits(logits[:, k], (bits[:, -k:].sum(1) % 2).float()) for k in asked]
        ).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 10 == 9 and n < MOST - 1 and right(model, n, 5_000_000 + step) > 0.98:
            n, reached, steps_to = n + 1, n, step + 1
    found = {"N reached": float(reached), "steps to it": float(steps_to)}
    if reached > 2:
        found["before"] = right(model, reached - 1, 9_000_000)
    if reached > 3:
        found["ahead of N by 1"] = right(model, reached, 9_000_001)
    if isinstance(model.layer, LeakyRNN):
        found["tau"] = float(model.layer.tau.detach().mean())
    return found
