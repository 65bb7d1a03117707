"""Stories read a few facts at a time, or whole in two passes, by what is carried on: parts of `mnemos bench slot-readers`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.neural.learning import fitted
from mnemos.bench.neural.slot_stories import FACTS, WORDS, stories
from mnemos.bench.parametric.spread import CHOSEN_ON
from mnemos.bench.parts import Row, seeded
from mnemos.neural.slots.lm2 import LargeMemory
from mnemos.neural.slots.perception_memory import PerceptionMemory
from mnemos.neural.slots.segment import SlotSegment

WIDTH, AT_ONCE = 48, 2  # facts of a segment
STEPS, PASS_STEPS = 1000, 600  # of training, by segments and in passes
STORIES, KNOWN = 4000, 3200  # of each kind, and those to train on
RATES = (0.003, 0.01)  # of which the better is taken, on a seed that is not reported


class Story(nn.Module):  # type: ignore[misc]
    """Facts and then the question, in segments, to logits of words."""

    def __init__(self, core: SlotSegment, at_once: int, passes: int = 1) -> None:
        super().__init__()
        self.embed, self.core, self.at_once, self.passes = nn.Linear(WORDS, WIDTH), core, at_once, passes
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS))

    def forward(self, facts: Tensor, question: Tensor) -> Tensor:
        """Return logits (B, W)."""
        x = self.embed(torch.cat([facts, question[:, None]], 1))
        state = self.core.init_state(len(x))
        for _ in range(self.passes):
            made = []
            for segment in x.split(self.at_once, 1):
                y, state = self.core(segment, state)
                made.append(y)
            x = torch.cat(made, 1)
        logits: Tensor = self.out(x[:, -1])
        return logits


def transformer(passes: int = 1) -> Story:
    """Return the same layer over the whole story at once, whose feed-forward layer is as much wider as PMI has weights."""
    core = SlotSegment(WIDTH, 0, 2, FACTS + 1)
    wide = sum(p.numel() for p in PerceptionMemory(WIDTH, length=AT_ONCE).parameters())
    wide = (wide - sum(p.numel() for p in core.parameters())) // (2 * WIDTH + 1) + 2 * WIDTH
    core.feed = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, wide), nn.GELU(), nn.Linear(wide, WIDTH))
    return Story(core, FACTS + 1, passes)


def whole(relations: int) -> Story:
    """Return PMI over the whole story in two passes, the layers of a transformer that shares its weights."""
    return Story(PerceptionMemory(WIDTH, length=FACTS + 1, relations=relations), FACTS + 1, 2)


ROWS: dict[str, Callable[[], Story]] = {
    "PMI": lambda: Story(PerceptionMemory(WIDTH, length=AT_ONCE), AT_ONCE),
    "PMI, no long-term memory": lambda: Story(PerceptionMemory(WIDTH, length=AT_ONCE, relations=0), AT_ONCE),
    "LM2, 4 slots": lambda: Story(LargeMemory(WIDTH, 4, length=AT_ONCE), AT_ONCE),
    "transformer over the whole story": transformer,
}
TWICE: dict[str, Callable[[], Story]] = {
    "PMI": partial(whole, 8),
    "PMI, no long-term memory": partial(whole, 0),
    "transformer": partial(transformer, 2),
}


@cache
def pool(support: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return stories; making them takes longer than reading them."""
    return stories(STORIES, support, rng(1000 * support + seed))


def trained(make: Callable[[], Story], rate: float, seed: int, steps: int) -> Story:
    """Train on questions with one and with two supporting facts, in turn."""
    torch.manual_seed(seed)
    model = make()

    def loss(draw: torch.Generator) -> Tensor:
        chosen = torch.randint(KNOWN, (2, 32), generator=draw)
        parts = [[part[rows] for part in pool(support, seed)] for support, rows in zip((1, 2), chosen, strict=True)]
        facts, question, answers = (torch.cat([a, b]) for a, b in list(zip(*parts, strict=True))[:3])
        return F.cross_entropy(model(facts, question), answers)

    fitted(model.parameters(), loss, steps, seed, rate)
    return model


def tested(model: Story, seed: int) -> dict[str, float]:
    """Return wrong answers by the number of supporting facts, and by where the oldest of them is."""
    found: dict[str, float] = {}
    wrong, oldest = [], []
    for support in (1, 2):
        facts, question, answers, marks = (part[KNOWN:] for part in pool(support, seed))
        with torch.no_grad():
            wrong.append((model(facts, question).argmax(1) != answers).double())
        oldest.append(marks.int().argmax(1))
        found[f"wrong, {support} supporting %"] = float(wrong[-1].mean())
    every, place = torch.cat(wrong), torch.cat(oldest)
    third = FACTS / 3
    found["wrong, in the last third %"] = float(every[place >= 2 * third].mean())
    found["wrong, from the first third %"] = float(every[place < third].mean())
    return found


def compared(rows: dict[str, Callable[[], Story]], steps: int, seeds: int) -> dict[str, Row]:
    """Return wrong answers of each model, with the better of two rates."""

    def run(make: Callable[[], Story], rate: float, seed: int) -> dict[str, float]:
        model = trained(make, rate, seed, steps)
        return tested(model, seed) | {"rate": rate, "parameters": sum(p.numel() for p in model.core.parameters())}

    def chosen(make: Callable[[], Story]) -> float:
        def missed(rate: float) -> float:
            found = run(make, rate, CHOSEN_ON)
            return found["wrong, 1 supporting %"] + found["wrong, 2 supporting %"]

        return min(RATES, key=missed)

    return {
        name: seeded(seeds, partial(run, make, chosen(make)), ("rate", "parameters")) for name, make in rows.items()
    }


def perception(options: Any) -> dict[str, Row]:
    """Return wrong answers where stories are read two facts at a time."""
    return compared(ROWS, STEPS, options.seeds)


def passes(options: Any) -> dict[str, Row]:
    """Return wrong answers where stories are read whole, in two passes."""
    return compared(TWICE, PASS_STEPS, options.seeds)
