"""Backbones of a world model: what is foreseen of rooms that are visited again, by how many steps ago they were seen.

An agent walks twice around a loop of rooms in a grid and turns at its corners; a room's frame is three tiles of four
colours, drawn for the walk. On the second round each frame is to be foreseen from those before it: the first round, a lag ago.
A model of two layers of 32 channels is trained for each length of the loop, 300 steps on 32 walks, at one rate; figures are
wrong tiles of 200 new walks (guessing is wrong for 75 %). Frames are foreseen directly, without the latent variables that
"Facing Off World Model Backbones" (arXiv 2307.02064) draws. *State* is the numbers that a step of imagination goes on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from mnemos.neural.model import Stack

TILES, COLOURS, WIDTH, WINDOW = 3, 4, 32, 16
LAGS, STEPS, BATCH = (8, 12, 24, 32), 300, 32
MIXERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "s4d": ("s4d", {"states": 16, "longest": 100.0}),
    "gru": ("gru", {}),
    "attention, window of 16": ("attention", {"window": WINDOW}),
}
RATE = 1e-2
ROWS = tuple(MIXERS)


def walks(count: int, lag: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """Return what is seen and done on two rounds (B, 2 lag - 1, 13), and the tiles that come next (B, 2 lag - 1, 3).

    Tiles of the first round are -100: nobody can foresee them.
    """
    tiles = torch.randint(COLOURS, (count, lag, TILES), generator=rng).repeat(1, 2, 1)
    turns = (torch.arange(2 * lag) % (lag // 4) == 0).float().expand(count, -1)[..., None]
    seen = torch.cat([F.one_hot(tiles, COLOURS).flatten(2).float(), turns], -1)
    ahead = tiles[:, 1:].clone()
    ahead[:, : lag - 1] = -100
    return seen[:, :-1], ahead


class World(nn.Module):  # type: ignore[misc]
    """An encoder of frames, a backbone that remembers, and a head that says what comes next."""

    def __init__(self, row: str) -> None:
        super().__init__()
        self.enter = nn.Linear(TILES * COLOURS + 1, WIDTH)
        self.backbone = Stack(WIDTH, [MIXERS[row]] * 2, kernel=0, expand=1)
        self.head = nn.Sequential(nn.RMSNorm(WIDTH), nn.Linear(WIDTH, TILES * COLOURS))

    def forward(self, seen: Tensor) -> Tensor:
        """Return logits (B, T, 3, 4) of the tiles that come next."""
        logits: Tensor = self.head(self.backbone(self.enter(seen))[0])
        return logits.unflatten(2, (TILES, COLOURS))


def one(row: str, seed: int) -> dict[str, float]:
    """Return the wrong tiles at each lag, and the size of the state after the longest walk."""
    found, size = dict[str, float](), 0
    for lag in LAGS:
        torch.manual_seed(seed)
        model = World(row)
        optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS, pct_start=0.1)
        for step in range(STEPS):
            seen, ahead = walks(BATCH, lag, Generator().manual_seed(1_000_003 * seed + step))
            loss = F.cross_entropy(model(seen).flatten(0, 2), ahead.flatten())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        size = model.backbone.state_size(2 * lag)
        with torch.no_grad():
            seen, ahead = walks(200, lag, Generator().manual_seed(900_000_000 + seed))
            told = ahead != -100
            found[f"wrong at lag {lag}"] = float((model(seen).argmax(-1) != ahead)[told].double().mean())
    return found | {"state": float(size)}
