"""Rehearsal of codes against rehearsal of samples at equal bytes, and of pieces against whole bags.

`measure`: four digits first, then two, two and two; one pass, about 165 kB held. `bags`: eight classes in four tasks, a bag of
eight vectors of which three say the class.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.learning.lives import Strategies, fresh, live
from mnemos.bench.parametric.learning.methods import RATE, lived, row_of, short
from mnemos.bench.parametric.learning.streams import Labelled, Task, digits, joint, split
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.breakup_replay import BreakupReplay
from mnemos.parametric.consolidate.latent_replay import LatentReplay
from mnemos.parametric.consolidate.replay import Replay

SIDE = 14
SIZES = (SIDE**2, 200, 100, 10)
ROWS: dict[str, Strategies] = {
    "plain": (),
    "replay of 200 images": Replay(200, 50),
    "replay of 780 images, as if a pixel were a byte": Replay(780, 50),
    "codes of 8 bytes, 3,900 images": LatentReplay(3900),
    "codes of 20 bytes, no mixup, 2,200 images": LatentReplay(2200, codes=20, mixup=0),
    "codes of 8 bytes, no mixup, 3,900 images": LatentReplay(3900, mixup=0),
}
BAG, WIDTH, KEYS, PROTOTYPES = 8, 16, 3, 12


def measure(options: Any) -> dict[str, Row]:
    """Return rows of codes and of samples, and of all classes mixed."""
    pairs = split(digits(options.data, side=SIDE).fewer(train=500, test=100))
    tasks = [joint(pairs[:2]), *pairs[2:]]

    def run(of: list[Task], strategies: Strategies, rate: float, seed: int) -> dict[str, float]:
        return short(lived(of, strategies, SIZES, rate, seed))

    found = {name: row_of(partial(run, tasks, s), options.seeds, RATE) for name, s in ROWS.items()}
    found["all mixed, one pass"] = row_of(partial(run, [joint(tasks)], ()), options.seeds, RATE)
    return found


def bags(options: Any) -> dict[str, Row]:
    """Return rows of whole bags and of pieces of them at equal bytes."""
    rows: dict[str, Strategies] = {"plain": ()}
    for items in (8, 16):
        rows[f"replay of {items} bags"] = Replay(items, 10, "balanced")
        rows[f"pieces, as many as in {items} bags"] = BreakupReplay(
            items, 10, "balanced", pieces=BAG, keep=3, places=False
        )
    return {name: row_of(partial(_of_bags, s), options.seeds, RATE) for name, s in rows.items()}


class Pooled(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """Reads every vector of a bag, and pools them."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.say = nn.Linear(WIDTH, 64), nn.Linear(64, 8)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, 8) of bags (N, R, D)."""
        said: Tensor = self.say(torch.relu(self.read(x)).mean(1))
        return said


def _of_bags(strategies: Strategies, rate: float, seed: int) -> dict[str, float]:
    learner = fresh(Pooled, strategies, seed, rate)
    found = short(live(learner, made_bags(seed), seed=seed))
    for s in learner.strategies:
        if isinstance(s, BreakupReplay):
            found["combinations a bag held"] = sum(s.combinations().values()) / s.items
    return found


def made_bags(seed: int) -> list[Task]:
    """Return four tasks of two classes of bags: three vectors near prototypes of the class, five that say nothing."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = 2 * torch.randn(8, PROTOTYPES, WIDTH, generator=generator)

    def drawn(classes: tuple[int, int], each: int) -> Labelled:
        y = torch.tensor(classes).repeat_interleave(each)
        x = torch.randn(len(y), BAG, WIDTH, generator=generator)
        which = torch.randint(PROTOTYPES, (len(y), KEYS), generator=generator)
        x[:, :KEYS] = prototypes[y[:, None], which] + 0.5 * torch.randn(len(y), KEYS, WIDTH, generator=generator)
        order = torch.rand(len(y), BAG, generator=generator).argsort(1)
        return Labelled(x[torch.arange(len(y))[:, None], order], y)

    return [Task(drawn((c, c + 1), 200), drawn((c, c + 1), 50)) for c in range(0, 8, 2)]
