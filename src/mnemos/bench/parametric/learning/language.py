"""Five text tasks in turn over SmolLM2-135M with an adapter: news, two kinds of reviews, encyclopedia, questions.

The order is agnews, amazon, yelp, dbpedia, yahoo2 (text_cl/ of --data): 50 texts of each to learn in three passes, 40 to test.
The labels of all tasks begun take part in every answer; the two kinds of reviews share theirs. The adapter is in q, o and the
FFN's last layer of the four upper layers, and acts on "Label:" after the text, whose first 40 tokens are read. `kB` is what a
way holds beside the model: weights that are trained, copies of them, held texts (4 bytes a token), sums of a ridge head. OSF
is PEFT's: the smallest singular directions of each weight are trained; after each task the update is merged, and the weight
decomposed again. The ridge head reads 248 random projections of the frozen model's last state.

Rates of Adam were chosen among 5e-4, 2e-3 and 5e-3 on seed 100, close ones on 101 and 102 too: these are asked about other texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.activation.pretrained import load_decoder, load_tokenizer
from mnemos.bench.parametric.learning.lives import Life, Lived, asked, live, live_head
from mnemos.bench.parametric.learning.streams import Labelled, Task, joint
from mnemos.bench.parts import Row, seeded
from mnemos.errors import NotFound
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.base import Learning, Strategy
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.labelling import Labelling, rows_of, upper
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.metrics import kept
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.encode.adapter import NAME, Adapter
from mnemos.parametric.encode.tuners import Tuner
from mnemos.parametric.recall.ridge import RidgeHead

TASKS = ("agnews", "amazon", "yelp", "dbpedia", "yahoo2")
ENDING, TOKENS, LAYERS = "\nLabel:", 40, 4
ENDS = ("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj")
POOL, LEARNED, LEFT_OUT, TEST = 60, 50, 15, 40  # texts of a task: to draw from, drawn, to choose by, to test
CHOOSING = 100  # the first of the seeds that rates were chosen on
NAMES = {"society_culture": "society", "science_mathematics": "science"}  # labels as a model would say them
LIFE = Life(batch=8, epochs=3)
PROJECTED = 248  # features of the ridge head


@dataclass(frozen=True)
class Way:
    """How the tasks are learned."""

    strategies: tuple[Strategy, ...] = ()
    rank: int = 8  # of the adapter
    tuner: Tuner = "lora"
    rate: float = 2e-3
    all_at_once: bool = False


@dataclass
class Merged(Strategy):
    """Merges an adapter of PEFT into its weights after each task, and begins a new one."""

    def after_task(self, learning: Learning) -> None:
        """Add the update to the model's weights, and decompose them again."""
        model, carrier, *_ = learning.model.outside
        for name, layer in learning.model.learned.outside[2].items():
            model.get_submodule(name).weight += layer.get_delta_weight(NAME).detach()
        learning.model.learned = carrier.create(model, (), None)
        learning.rebuild()


WAYS = {
    "LoRA in sequence": Way(rate=5e-4),
    "OSF of PEFT": Way((Merged(),), tuner="osf"),
    "replay, 5 texts (2 %)": Way((Replay(5, 8),), rate=5e-3),
    "replay, 25 texts (10 %)": Way((Replay(25, 8),)),
    "DER++, 25 texts": Way((DarkExperienceReplay(25, 8, 0.2, 1.0),), rate=5e-4),
    "replay, 25 texts, and a slow copy": Way((Replay(25, 8), SlowCopy(0.9)), 4),
    "replay, all texts": Way((Replay(250, 8),), 7),
    "all tasks at once": Way(all_at_once=True),
}


def measure(options: Any) -> dict[str, Row]:
    """Return accuracy, forgetting, seconds and bytes of every way."""
    read = Texts.of(options.data)
    found = {name: seeded(options.seeds, partial(once, read, way), ("kB",)) for name, way in WAYS.items()}
    found["ridge head over frozen states"] = seeded(options.seeds, partial(ridge, read), ("kB",))
    return found


@dataclass(frozen=True)
class Texts:
    """A decoder, the tokens of each label, and texts by task: x (N, T) of tokens."""

    model: Any
    labels: list[list[int]]
    ending: list[int]
    tasks: list[Task]
    readings: dict[Any, Any] = field(default_factory=dict)  # of the frozen model, for all lives

    @classmethod
    def of(cls, data: Path) -> Texts:
        """Read texts and model. Raises NotFound where the texts are not there, and ModelError where SmolLM2 was not built."""
        model, tokenizer = load_decoder("smollm2").requires_grad_(False), load_tokenizer("smollm2")
        names: list[str] = []
        tasks = []
        for task in TASKS:
            folder = data / "text_cl" / task
            if not folder.exists():
                raise NotFound(f"{folder} is not there: give a folder with text_cl/ as --data.")
            names += [n for n in json.loads((folder / "labels.json").read_text(encoding="utf-8")) if n not in names]
            parts = [lines(folder / "train.jsonl", POOL + LEFT_OUT), lines(folder / "test.jsonl", TEST)]
            tasks.append(Task(*(labelled(tokenizer, part, names) for part in parts)))
        labels = [tokenizer(f" {NAMES.get(name, name)}")["input_ids"] for name in names]
        return cls(model, labels, tokenizer(ENDING)["input_ids"], tasks)

    def drawn(self, seed: int) -> list[Task]:
        """Return the tasks of a seed: each draws other texts to learn."""
        generator, found = torch.Generator().manual_seed(seed), []
        for task in self.tasks:
            rows = torch.randperm(POOL, generator=generator)[:LEARNED]
            learned = Labelled(task.train.x[rows], task.train.y[rows])
            left_out = Labelled(task.train.x[POOL:], task.train.y[POOL:])
            found.append(Task(learned, left_out if seed >= CHOOSING else task.test))
        return found

    def labelling(self, way: Way, seed: int) -> Labelling:
        """Return the decoder as a classifier with a new adapter."""
        carrier = Adapter(way.tuner, way.rank, 2.0 * way.rank, upper(self.model, LAYERS, *ENDS))
        return Labelling(self.model, carrier, self.labels, self.ending, LAYERS, seed, self.readings)


def lines(path: Path, count: int) -> list[dict[str, str]]:
    """Return the first texts of a file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line, _ in zip(file, range(count), strict=False)]


def labelled(tokenizer: Any, part: Sequence[dict[str, str]], names: Sequence[str]) -> Labelled:
    """Return the tokens of texts, and the numbers of their labels."""
    rows = rows_of(tokenizer, [text["text"] for text in part], TOKENS)
    return Labelled(rows, torch.tensor([names.index(text["label"]) for text in part]))


def once(read: Texts, way: Way, seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    torch.manual_seed(seed)
    tasks = read.drawn(seed)
    with as_it_was(read.model):
        model = read.labelling(way, seed)
        model.read(torch.cat([part.x for task in tasks for part in (task.train, task.test)]))  # once, and not timed
        optimise = partial(torch.optim.Adam, lr=way.rate)
        learner = Learner(model, way.strategies, rivals="seen", optimise=optimise, seed=seed)
        if not way.all_at_once:
            return figures(live(learner, tasks, LIFE, seed), model.learned.nbytes)
        lived = live(learner, [joint(tasks)], LIFE, seed)
        right = asked(learner, tasks, LIFE)
    return {"accuracy %": sum(right) / len(right), "seconds": lived.seconds, "kB": model.learned.nbytes / 1000}


def ridge(read: Texts, seed: int) -> dict[str, float]:
    """Return the figures of a ridge head over frozen states."""
    model = read.labelling(Way(rank=1), seed)
    width = read.model.config.hidden_size
    project = torch.randn(width, PROJECTED, generator=torch.Generator().manual_seed(seed)) / width**0.5

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def features(part: Labelled) -> Labelled:
        return Labelled(F.normalize(F.normalize(model.states(part.x)) @ project), part.y)

    tasks = [Task(features(task.train), features(task.test)) for task in read.drawn(seed)]
    return figures(live_head(RidgeHead(PROJECTED, len(read.labels), 0.1), tasks), 0)


def figures(lived: Lived, nbytes: float) -> dict[str, float]:
    """Return the figures of a life whose model has trained weights of some bytes."""
    found = kept(lived.accuracies)
    return {
        "accuracy %": found.accuracy,
        "forgetting %": found.forgetting,
        "learned %": found.learning,
        "seconds": lived.seconds,
        "kB": (nbytes + lived.nbytes) / 1000,
    }


@contextmanager
def as_it_was(model: Any) -> Iterator[None]:
    """Give the weights that may be merged into back afterwards."""
    own: dict[str, Tensor] = {name: model.get_submodule(name).weight.clone() for name in _names(model)}
    try:
        yield
    finally:
        for name, weight in own.items():
            model.get_submodule(name).weight.copy_(weight)


def _names(model: Any) -> list[str]:
    return [f"model.{name}" for name in upper(model, LAYERS, *ENDS)]
