"""Prompts and adapters over a frozen backbone, classes in turn and no sample stored.

The backbone, a transformer of two blocks over the rows of 14 x 14 pixels, was trained on half of the digits turned by 90 and 270
degrees (20 classes). The stream is the other half, upright: five tasks of two digits (100 images a class are learned, 40 asked).
Softmax over the classes of the batch, Adam, each method at the rate that is best on a seed that is not reported. "adapter
found" is how often the adapter that answers is that of the image's own task.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, NamedTuple

import torch

from mnemos.bench.parametric.learning.backbones import Rows, trained, turned_digits
from mnemos.bench.parametric.learning.events import overlap
from mnemos.bench.parametric.learning.lives import Life, fresh, live
from mnemos.bench.parametric.learning.methods import row_of
from mnemos.bench.parametric.learning.streams import Images, Labelled, Task, digits, split
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.adapter_pool import AdapterPool
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.prompt_pool import Prompted, PromptPool
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.self_expansion import Grown, SelfExpansion

LIFE = Life(batch=20, epochs=4)
CODA = PromptPool("soft", size=4, grows=True, apart=0.1)
MOS = AdapterPool("refined")


class Way(NamedTuple):
    """Strategies, the rates to choose from, and which stream they live on."""

    strategies: Strategy | tuple[Strategy, ...]
    rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2)
    tasks: str = "classes"


WAYS = {
    "all weights in sequence": Way((), (1e-4, 3e-4, 1e-3)),
    "one prompt": Way(PromptPool(size=1, chosen=1)),
    "prompts by nearest keys (L2P)": Way(PromptPool()),
    "prompts by attention (CODA)": Way(CODA),
    "prompts by attention, none frozen": Way(PromptPool("soft", size=20, apart=0.1)),
    "prompts by attention, not kept apart": Way(PromptPool("soft", size=4, grows=True)),
    "one adapter": Way(AdapterPool(single=True)),
    "one adapter, 50 replayed (static ConPET)": Way(AdapterPool(single=True) + Replay(50, 10)),
    "adapters, refined (MOS)": Way(MOS),
    "adapters, refined, not merged": Way(AdapterPool("refined", merge=0.0)),
    "adapters, matched once": Way(AdapterPool("matched")),
    "adapters, selector (dynamic ConPET)": Way(AdapterPool("selector")),
    "adapters that come back: one a task": Way(AdapterPool("selector"), tasks="back"),
    "adapters that come back: self-expansion": Way(SelfExpansion(), tasks="back"),
    "adapters that come back: one adapter": Way(AdapterPool(single=True), tasks="back"),
}


def measure(options: Any) -> dict[str, Row]:
    """Return accuracy, forgetting, what is trained, and which adapter answers, of each method."""
    images = digits(options.data, side=14)
    halves = [Labelled(images.train.x[i::2], images.train.y[i::2]) for i in range(2)]
    few = Images(halves[1], images.test, 14).fewer(100, 40)
    base = trained(turned_digits(Images(halves[0], images.test, 14)), 14, 0, steps=600)
    streams = {"classes": split(few), "back": coming_back(few)}
    return {
        name: row_of(partial(once, base, streams[way.tasks], way.strategies), options.seeds, way.rates)
        for name, way in WAYS.items()
    }


def coming_back(images: Images) -> list[Task]:
    """Return tasks of two digits of which three come twice, with other images."""
    tasks = split(images)
    odd = [Task(Labelled(t.train.x[1::2], t.train.y[1::2]), t.test) for t in tasks]
    even = [Task(Labelled(t.train.x[::2], t.train.y[::2]), t.test) for t in tasks]
    return [even[0], even[1], odd[0], even[2], odd[1], odd[2]]


def once(
    base: Rows, tasks: list[Task], strategies: Strategy | tuple[Strategy, ...], rate: float, seed: int
) -> dict[str, float]:
    """Return the figures of one life."""

    def model() -> Rows:
        made = copy.deepcopy(base)
        torch.nn.init.normal_(made.head.weight, std=0.1)
        return made

    learner = fresh(model, strategies, seed, rate, torch.optim.Adam, rivals="batch")
    life = live(learner, tasks, LIFE, seed)
    found = life.figures()
    row = {"accuracy %": found["accuracy"], "forgetting %": found["forgetting"], "seconds": life.seconds}
    row["kB"] = learner.nbytes / 1000
    strategy = learner.strategies[0] if learner.strategies else None
    if isinstance(strategy, AdapterPool) and not strategy.single:
        row |= owners(strategy, tasks)
    if isinstance(learner.model, Grown):
        row["adapters"] = float(sum(learner.model.counts))
    if isinstance(learner.model, Prompted) and learner.model.knobs.select == "hard":
        row["prompts shared by tasks %"] = overlap(learner.model, [t.test.x for t in tasks])
    return row


def owners(pool: AdapterPool, tasks: list[Task]) -> dict[str, float]:
    """Return how often the adapter of an image's own task answers, and the accuracy if it always did."""
    assert pool.model is not None
    found, exact, places = [], [], pool.model.tasks
    for number, task in enumerate(tasks):
        mine = {pool.classes[c].task for c in task.test.y.unique().tolist()}
        who = torch.tensor(places)[pool.choose(task.test.x).argmax(1)]
        found.append(float(torch.isin(who, torch.tensor(sorted(mine))).float().mean()))
        with torch.no_grad():
            said = pool.model.read(task.test.x, max(mine) if number not in places else number)
        exact.append(float((said.argmax(-1) == task.test.y).float().mean()))
    return {
        "adapter found %": sum(found) / len(found),
        "own adapter named %": sum(exact) / len(exact),
        "adapters": float(len(places)),
    }
