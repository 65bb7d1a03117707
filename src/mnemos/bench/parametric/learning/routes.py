"""One stream of facts by two routes: stored as texts and searched, or learned into weights.

800 facts ("Ana's boat is red.") of 40 names, 20 things and 40 values come in ten tasks. Outside, a space stores them, and a
question is right where its first hit is the fact. Inside, two layers over the bundled embedder's vectors learn the value from
the statement and from one question, 20 passes a task. Both are asked in words that were not learned. `ms a question` is
processor time, with that of the question's vector, which both need. `even at`: questions for each fact from which on a way inside
has cost less time than the space, learning counted. The rate was chosen on seed 100.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import torch

from mnemos.bench.parametric.learning.lives import Life, accuracy, live, perceptron
from mnemos.bench.parametric.learning.router import vectors
from mnemos.bench.parametric.learning.streams import Labelled, Task, joint
from mnemos.bench.parts import Row, seeded
from mnemos.embed import Embedder, load
from mnemos.embed.encoder import OnnxEncoder
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.metrics import kept
from mnemos.parametric.consolidate.replay import Replay
from mnemos.system import Mnemos

NAMES = [
    "Ana", "Bo", "Carl", "Dina", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jana", "Kai", "Lea", "Max", "Nora", "Olaf", "Pia",
    "Quin", "Rita", "Sven", "Tara", "Udo", "Vera", "Wim", "Xenia", "Yann", "Zoe", "Anton", "Bela", "Cleo", "Dora", "Emil",
    "Fritz", "Greta", "Hugo", "Ines", "Jonas", "Karla", "Ludwig", "Marta", "Nils",
]  # fmt: skip
THINGS = [
    "boat", "lamp", "violin", "garden", "bicycle", "kitchen", "map", "clock", "chair", "coat", "drum", "kite", "door",
    "roof", "dog", "horse", "car", "phone", "desk", "hat",
]  # fmt: skip
VALUES = [
    "red", "blue", "green", "black", "white", "golden", "broken", "new", "wooden", "old", "round", "wet", "stolen",
    "rented", "borrowed", "tiny", "huge", "heavy", "quiet", "loud", "cheap", "famous", "dusty", "striped", "frozen",
    "hidden", "folded", "painted", "crooked", "empty", "sold", "rusty", "soft", "sharp", "sticky", "torn", "polished",
    "haunted", "magnetic", "hollow",
]  # fmt: skip
TASKS, PASSES, RATE = 10, 20, 0.3


def measure(options: Any) -> dict[str, Row]:
    """Return the figures of every route."""
    ways: dict[str, tuple[Strategy, ...]] = {
        "inside, in turn": (), "inside, replay of 10 %": (Replay(160, 32),), "inside, replay of all": (Replay(1600, 32),),
    }  # fmt: skip
    found = {"outside: a space, searched": seeded(options.seeds, outside)}
    found |= {name: seeded(options.seeds, partial(inside, ways=made)) for name, made in ways.items()}
    found["inside, all at once"] = seeded(options.seeds, partial(inside, ways=(), at_once=True))
    space = found["outside: a space, searched"]
    for row in list(found.values())[1:]:
        later, saved = (row[c] - space[c] for c in ("ms a fact", "ms a question"))
        row["even at"] = max(0.0, later / -saved) if saved < 0 else "never"
    return found


class Fact(NamedTuple):
    """What is said, a question that is learned with it, one that is asked, and the number of the value."""

    said: str
    taught: str
    asked: str
    value: int


def facts(seed: int) -> list[Fact]:
    """Return all facts in random order."""
    rng, found = random.Random(seed), []
    for name in NAMES:
        for thing in THINGS:
            value = rng.randrange(len(VALUES))
            said = f"{name}'s {thing} is {VALUES[value]}."
            found.append(Fact(said, f"What is {name}'s {thing} like?", f"Tell me how the {thing} of {name} is.", value))
    rng.shuffle(found)
    return found


def outside(seed: int) -> dict[str, float]:
    """Return the figures of a space that stores the facts of task after task."""
    stream, first, last, spent = facts(seed), list[float](), list[float](), 0.0
    each = len(stream) // TASKS
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root) as memory:
        space = memory.space("facts")

        def right(part: list[Fact]) -> float:
            found = [space.search(fact.asked, 1) for fact in part]
            return fmean(bool(hits) and hits[0].cube.text == fact.said for hits, fact in zip(found, part, strict=True))

        for task in range(TASKS):
            part = stream[task * each : (task + 1) * each]
            begun = time.process_time()
            space.add_many({"content": fact.said} for fact in part)
            spent += time.process_time() - begun
            first.append(right(part))
        asking = _asking(lambda: last.append(right(stream)), space.text.embedder)
    return {
        "accuracy %": last[0], "forgetting %": fmean(first[:-1]) - last[0], "learned %": fmean(first),
        "ms a fact": 1000 * spent / len(stream), "ms a question": 1000 * asking / len(stream),
    }  # fmt: skip


def _asking(ask: Callable[[], object], embedder: Embedder | None) -> float:
    """Return the seconds that asking takes, with no question's vector cached."""
    if isinstance(embedder, OnnxEncoder):
        embedder.clear_cache()
    begun = time.process_time()
    ask()
    return time.process_time() - begun


def inside(seed: int, ways: tuple[Strategy, ...], at_once: bool = False, rate: float = RATE) -> dict[str, float]:
    """Return the figures of layers that learn the facts of task after task."""
    stream = facts(seed)
    each, y = len(stream) // TASKS, torch.tensor([fact.value for fact in stream])
    said, taught = vectors([fact.said for fact in stream]), vectors([fact.taught for fact in stream])
    asked = vectors([fact.asked for fact in stream])
    tasks = []
    for at in range(0, len(stream), each):
        rows = slice(at, at + each)
        learned = Labelled(torch.cat([said[rows], taught[rows]]), y[rows].repeat(2))
        tasks.append(Task(learned, Labelled(asked[rows], y[rows])))
    model = perceptron([said.shape[1], 512, len(VALUES)], seed)
    learner = Learner(model, ways, optimise=partial(torch.optim.SGD, lr=rate, momentum=0.9), seed=seed)
    lived = live(learner, [joint(tasks)] if at_once else tasks, Life(batch=32, epochs=PASSES), seed)
    embedder = load("bundled")
    assert embedder is not None  # it is a part of the package
    embedder.embed(["warm up"])
    asking = _asking(lambda: [learner.predict(torch.tensor(embedder.embed([f.asked]))) for f in stream[:100]], embedder)
    figures = {"ms a fact": 1000 * lived.seconds / len(stream), "ms a question": 10 * asking}
    if at_once:
        return {"accuracy %": fmean(accuracy(learner, task.test) for task in tasks)} | figures
    found = kept(lived.accuracies)
    return {"accuracy %": found.accuracy, "forgetting %": found.forgetting, "learned %": found.learning} | figures
