"""What crosses from one group of tokens to another, and what that costs: the part `groups` of `mnemos bench slot-readers`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.far_reaching import FarReaching

SYMBOLS, LENGTH, COPIED, WIDTH, LATENTS = 10, 64, 4, 32, 4  # the last two symbols: filler, and "say it now"
STEPS = 700  # of training


def copies(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return tokens (B, 64), of which the first 4 are to be said at the last 4, and these (B, 4)."""
    tokens = torch.full((count, LENGTH), SYMBOLS - 2)
    tokens[:, :COPIED] = torch.randint(SYMBOLS - 2, (count, COPIED), generator=draw)
    tokens[:, -COPIED:] = SYMBOLS - 1
    return tokens, tokens[:, :COPIED]


class Copier(nn.Module):  # type: ignore[misc]
    """Says symbols at the end that stood at the beginning."""

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.embed, self.core, self.out = nn.Embedding(SYMBOLS, WIDTH), core, nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (B, 4, symbols)."""
        logits: Tensor = self.out(self.core(self.embed(tokens))[:, -COPIED:])
        return logits


def groups(options: Any) -> dict[str, Row]:
    """Return symbols copied across groups, and how seconds of a forward pass grow from 2,048 to 8,192 tokens."""
    makers: dict[str, Callable[[int], FarReaching]] = {
        "groups with latents": lambda length: FarReaching(WIDTH, best(length), LATENTS, blocks=1),
        "groups without latents": lambda length: FarReaching(WIDTH, best(length), 0, blocks=1),
        "full attention": lambda length: FarReaching(WIDTH, length, 0, blocks=1),
    }

    def run(make: Callable[[int], FarReaching], seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        model, steps = Copier(make(LENGTH)), STEPS
        optimiser = torch.optim.Adam(model.parameters(), 4e-3)
        for step in range(steps):
            tokens, said = copies(32, rng(step + 10**6 * seed))
            loss = F.cross_entropy(model(tokens).flatten(0, 1), said.flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            tokens, said = copies(400, rng(55 + seed))
            right = float((model(tokens).argmax(-1) == said).double().mean())
        short, long = (seconds(make, length) for length in (2048, 8192))
        return {"right %": right, "seconds, 8,192 tokens": long, "times those of 2,048": long / short}

    return {name: seeded(options.seeds, partial(run, make)) for name, make in makers.items()}


def best(length: int) -> int:
    """Return the power of two nearest to the group length n of the least cost, L n + (L m / n)^2."""
    return 1 << round(math.log2((2 * length * LATENTS**2) ** (1 / 3)))


@torch.no_grad()  # type: ignore[untyped-decorator]
def seconds(make: Callable[[int], FarReaching], length: int) -> float:
    """Return the processor time of a forward pass."""
    model, x = make(length), torch.randn(1, length, WIDTH, generator=rng(0))
    model(x)
    started = time.process_time()
    model(x)
    return time.process_time() - started
