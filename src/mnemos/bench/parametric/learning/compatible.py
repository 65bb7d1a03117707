"""An encoder is updated four times; questions of a newer one are asked of vectors of an older one, which stay as they are.

14 x 14 digits, five tasks, two passes each: "new digits" brings two more digits a task, 500 images of each, "new images" another
fifth of 500 images of all ten. After each task 50 images of each digit become stored vectors, and 50 others become questions,
of those digits that this encoder has learned: right where the nearest stored vector is of the same digit. `self %`: questions
and vectors of the same encoder, mean over the first four; `crossed %`: questions of every newer encoder; `worst %`: of the
worst pair; `compatible %`: pairs in which crossed is better than the older encoder's own. The strength was chosen on seed 100.
"""

from __future__ import annotations

from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import Life, batches
from mnemos.bench.parametric.learning.streams import Images, Labelled, Task, digits, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Composed, Strategy
from mnemos.parametric.consolidate.compatible import CompatibleUpdate
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

TASKS, LEARNED, STORED = 5, 500, 50  # of each digit: images to learn, and those that become vectors, or questions
ROWS: dict[str, Strategy | Composed] = {
    "replay": Replay(300, 10),
    "replay and a fixed classifier": Replay(300, 10) + CompatibleUpdate(0.0),
    "replay and compatible update": Replay(300, 10) + CompatibleUpdate(0.1),
}


def measure(options: Any) -> dict[str, Row]:
    """Return the figures of every row on both streams."""
    images = digits(options.data, side=14)
    return {
        f"{stream}: {name}": seeded(options.seeds, partial(once, images, stream, strategies))
        for stream in ("new digits", "new images")
        for name, strategies in ROWS.items()
    }


def once(images: Images, stream: str, strategies: Strategy | Composed, seed: int) -> dict[str, float]:
    """Return the figures of five tasks."""
    torch.manual_seed(seed)
    some = images.fewer(LEARNED, STORED, seed)
    stored = images.fewer(STORED, 1, seed + 1000).train
    model = nn.Sequential(nn.Linear(196, 100), nn.ReLU(), nn.Linear(100, 16), nn.Linear(16, 10))
    learner = Learner(model, strategies, optimise=partial(torch.optim.SGD, lr=0.03), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    vectors, questions = list[Tensor](), list[Tensor]()
    for number, task in enumerate(split(some) if stream == "new digits" else shares(some, generator)):
        for rows in batches(len(task.train.y), Life(batch=10, epochs=2), generator):
            learner.observe(task.train.x[rows], task.train.y[rows], number)
        learner.end_task()
        vectors.append(encoded(model, stored.x))
        questions.append(encoded(model, some.test.x))

    def found(new: int, old: int) -> float:
        known = 2 * (old + 1) if stream == "new digits" else 10
        asked, held = some.test.y < known, stored.y < known
        return right(questions[new][asked], some.test.y[asked], vectors[old][held], stored.y[held])

    pairs = [(found(new, old), found(old, old)) for new in range(TASKS) for old in range(new)]
    return {
        "self %": fmean(found(old, old) for old in range(TASKS - 1)),
        "crossed %": fmean(crossed for crossed, _ in pairs),
        "worst %": min(crossed for crossed, _ in pairs),
        "compatible %": fmean(crossed > own for crossed, own in pairs),
        "accuracy %": float((learner.predict(some.test.x).argmax(-1) == some.test.y).float().mean()),
    }


def shares(images: Images, generator: torch.Generator) -> list[Task]:
    """Return tasks that each bring another share of the images of all classes."""
    x, y = images.train
    parts = torch.randperm(len(y), generator=generator).chunk(TASKS)
    return [Task(Labelled(x[rows], y[rows]), images.test) for rows in parts]


@torch.no_grad()  # type: ignore[untyped-decorator]
def encoded(model: nn.Sequential, x: Tensor) -> Tensor:
    """Return what the model's classifier reads, of unit length."""
    return F.normalize(model[:-1](x), dim=-1)


def right(questions: Tensor, asked: Tensor, vectors: Tensor, held: Tensor) -> float:
    """Return the share of questions (Q, D) whose nearest vector (N, D) is of the same class."""
    return float((held[(questions @ vectors.T).argmax(-1)] == asked).float().mean())
