"""Learning without forgetting by two other libraries beside ours: accuracy, and seconds of a step, in one run on a CPU.

avalanche (`avalanche-lib`, with its dependencies) has to be importable; mammoth is read from a folder of checkouts (`--code`)
and needs kornia, and its folder `datasets` without the data sets whose packages are not installed: it imports them all. What is
not there is left out, and the table says so:

    python -m benchmarks peers-continual --data DATA --code checkouts

S-MNIST as in DER's paper: two hidden layers of 100, plain SGD, one pass, batches of 10, five tasks of two digits, ten outputs;
the rates and weights of mammoth's `best_args` for all sides. The sides take turns, task by task. Of mammoth `observe` alone is
timed, without its data loaders; avalanche is timed as its users call it, `train(experience)`.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mnemos.bench.parts import table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.errors import InvalidInput

BATCH = 10


@dataclass(frozen=True)
class Options:
    """Where the data and the libraries are."""

    data: Path  # a folder with mnist/mnist.npz
    code: Path | None = None  # a folder with a checkout of mammoth
    train: int = 0  # images of each digit to learn; 0: all
    seeds: int = 3  # runs
    methods: tuple[str, ...] = ("plain", "ER 200", "ER 500", "DER++ 200", "DER++ 500", "EWC")  # which are compared


@dataclass(frozen=True)
class Knobs:
    """A method, as mammoth's `best_args` have it."""

    rate: float
    items: int = 0  # held samples
    replayed: int = 10  # of them, at a step
    alpha: float = 0.0  # weight of the logits of DER++
    beta: float = 0.0  # weight of their labels
    penalty: float = 0.0  # of EWC


METHODS = {
    "plain": Knobs(0.03),
    "ER 200": Knobs(0.01, 200),
    "ER 500": Knobs(0.1, 500),
    "DER++ 200": Knobs(0.03, 200, 128, 0.2, 1.0),
    "DER++ 500": Knobs(0.03, 500, 10, 1.0, 0.5),
    "EWC": Knobs(0.03, penalty=90.0),
}


class Side(Protocol):
    """A library that learns tasks in turn."""

    def learn(self, task: int) -> None:
        """Learn a task, to its end."""
        ...

    def predict(self, x: Any) -> Any:
        """Return logits (N, 10)."""
        ...


Make = Callable[[Any, Knobs, int], Side]  # of tasks, knobs and a seed


@benchmark(
    "peers-continual",
    help="Learning without forgetting beside avalanche and mammoth: accuracy, and seconds of a step.",
    options=Options,
    tables={"peers-continual": table("peers", "method: library")},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure every method of every library that is there; see the module."""
    from mnemos.bench.kv.threads import one_thread

    unknown = sorted(set(options.methods) - METHODS.keys())
    if unknown:
        raise InvalidInput(f"there is no method {unknown[0]!r}: choose from {', '.join(METHODS)}.")
    makes = dict(libraries(options.code))
    progress.expect(len(options.methods) * options.seeds)
    rows: dict[str, dict[str, Any]] = {}
    with one_thread():
        for method in options.methods:
            runs = []
            for seed in range(options.seeds):
                runs.append(turns(options, METHODS[method], seed, makes))
                progress(1)
            ours = statistics.fmean(r["Mnemos"]["milliseconds a step"] for r in runs)
            for library in makes:
                row = over(r[library] for r in runs)
                row["times our seconds"] = row["milliseconds a step"] / ours
                rows[f"{method}: {library}"] = row
    missing = [name for name in ("avalanche", "mammoth") if name not in makes]
    return {"seeds": options.seeds, "train": options.train, "missing": missing, "parts": {"peers": rows}}


def over(runs: Iterator[Mapping[str, float]]) -> dict[str, Any]:
    """Return means and deviations over seeds."""
    from mnemos.bench.parametric.spread import over_seeds

    return over_seeds(list(runs))


def turns(options: Options, knobs: Knobs, seed: int, makes: Mapping[str, Make]) -> dict[str, dict[str, float]]:
    """Let every side learn the same tasks, each task in turn."""
    from mnemos.bench.parametric.learning.streams import digits, split

    images = digits(options.data)
    if options.train:
        images = images.fewer(options.train, 10**6, seed)
    tasks = split(images)
    sides = {name: make(tasks, knobs, seed) for name, make in makes.items()}
    spent = dict.fromkeys(sides, 0.0)
    for number in range(len(tasks)):
        for name, side in sides.items():
            begun = time.process_time()
            side.learn(number)
            spent[name] += time.process_time() - begun
    steps = sum(-(-len(task.train.y) // BATCH) for task in tasks)
    return {
        name: {
            "accuracy %": float((side.predict(images.test.x).argmax(-1) == images.test.y).float().mean()),
            "milliseconds a step": 1000 * spent[name] / steps,
        }
        for name, side in sides.items()
    }


def libraries(code: Path | None) -> Iterator[tuple[str, Make]]:
    """Return the libraries that are there, ours first."""
    yield "Mnemos", Mnemos
    if importlib.util.find_spec("avalanche") is not None:
        yield "avalanche", Avalanche
    if code is not None and (code / "mammoth").exists():
        sys.path.insert(0, str(code / "mammoth"))
        yield "mammoth", Mammoth


def network(seed: int) -> Any:
    """Return the network of all sides, with the same weights for a seed."""
    from mnemos.bench.parametric.learning.lives import perceptron

    return perceptron([784, 100, 100, 10], seed)


class Mnemos:
    """Ours."""

    def __init__(self, tasks: Any, knobs: Knobs, seed: int) -> None:
        import warnings

        import torch

        from mnemos.parametric.consolidate.anchor import Anchor
        from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
        from mnemos.parametric.consolidate.learner import CannotWork, Learner
        from mnemos.parametric.consolidate.replay import Replay

        strategies: Any = ()
        if knobs.alpha:
            strategies = DarkExperienceReplay(knobs.items, knobs.replayed, knobs.alpha, knobs.beta)
        elif knobs.items:
            strategies = Replay(knobs.items, knobs.replayed)
        elif knobs.penalty:
            strategies = Anchor(knobs.penalty)
        self.tasks, self.order = tasks, torch.Generator().manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CannotWork)
            optimise = partial(torch.optim.SGD, lr=knobs.rate)
            self.learner = Learner(network(seed), strategies, optimise=optimise, seed=seed)

    def learn(self, task: int) -> None:
        """Learn a task."""
        x, y = self.tasks[task].train
        for rows in shuffled(len(y), self.order):
            self.learner.observe(x[rows], y[rows], task)
        self.learner.end_task()

    def predict(self, x: Any) -> Any:
        """Return logits."""
        return self.learner.predict(x)


class Avalanche:
    """avalanche's Naive, Replay, DER and EWC; its DER takes as many held samples for the labels as for the logits."""

    def __init__(self, tasks: Any, knobs: Knobs, seed: int) -> None:
        import torch
        from avalanche.benchmarks import benchmark_from_datasets
        from avalanche.benchmarks.utils.classification_dataset import _make_taskaware_tensor_classification_dataset
        from avalanche.training import DER, EWC, Naive, Replay
        from avalanche.training.plugins import EvaluationPlugin

        torch.manual_seed(seed)
        make = (
            _make_taskaware_tensor_classification_dataset  # its own benchmarks' maker: no public one gives task labels
        )
        data = [make(t.train.x, t.train.y, task_labels=0, targets=t.train.y.tolist()) for t in tasks]
        self.experiences = benchmark_from_datasets(train=data).train_stream
        self.model = network(seed)
        common = {
            "model": self.model, "optimizer": torch.optim.SGD(self.model.parameters(), lr=knobs.rate),
            "criterion": torch.nn.CrossEntropyLoss(),
            "train_mb_size": BATCH, "train_epochs": 1, "evaluator": EvaluationPlugin(),
        }  # fmt: skip
        if knobs.alpha:
            held = {"mem_size": knobs.items, "batch_size_mem": knobs.replayed}
            self.strategy = DER(**common, **held, alpha=knobs.alpha, beta=knobs.beta)
        elif knobs.items:
            self.strategy = Replay(**common, mem_size=knobs.items)
        elif knobs.penalty:
            self.strategy = EWC(**common, ewc_lambda=2 * knobs.penalty, mode="online", decay_factor=1.0)
        else:
            self.strategy = Naive(**common)

    def learn(self, task: int) -> None:
        """Learn a task."""
        self.strategy.train(self.experiences[task], num_workers=0)

    def predict(self, x: Any) -> Any:
        """Return logits."""
        return self.model.eval()(x)


class Mammoth:
    """mammoth's Sgd, Er, Derpp and EwcOn, fed with batches that are there already."""

    def __init__(self, tasks: Any, knobs: Knobs, seed: int) -> None:
        import numpy as np
        import torch
        from torch.nn import functional as F

        np.random.seed(seed)  # what its buffer draws from
        torch.manual_seed(seed)
        self.tasks, self.order = tasks, torch.Generator().manual_seed(seed)
        module, name = {
            "plain": ("sgd", "Sgd"), "er": ("er", "Er"), "derpp": ("derpp", "Derpp"), "ewc": ("ewc_on", "EwcOn"),
        }["derpp" if knobs.alpha else "er" if knobs.items else "ewc" if knobs.penalty else "plain"]  # fmt: skip
        args = Namespace(
            lr=knobs.rate, optimizer="sgd", optim_wd=0.0, optim_mom=0.0, optim_nesterov=False, label_perc=1,
            buffer_size=knobs.items, minibatch_size=knobs.replayed, alpha=knobs.alpha, beta=knobs.beta,
            e_lambda=knobs.penalty, gamma=1.0, batch_size=BATCH, device="cpu", n_epochs=1,
        )  # fmt: skip
        dataset = Namespace(N_CLASSES=10, N_TASKS=len(tasks), N_CLASSES_PER_TASK=2, SETTING="class-il")
        net = importlib.import_module("backbone.MNISTMLP").BaseMNISTMLP(784, 10)
        for mine, theirs in zip(network(seed).parameters(), net.parameters(), strict=True):
            theirs.data.copy_(mine.data)
        made = getattr(importlib.import_module(f"models.{module}"), name)
        self.model = made(net, F.cross_entropy, args, None, dataset)
        self.model.device = "cpu"

    def learn(self, task: int) -> None:
        """Learn a task."""
        x, y = self.tasks[task].train
        batches = shuffled(len(y), self.order)
        for rows in batches:
            self.model.observe(x[rows], y[rows], x[rows])
        self.model.end_task(Namespace(train_loader=[(x[rows], y[rows]) for rows in batches]))

    def predict(self, x: Any) -> Any:
        """Return logits."""
        return self.model.net(x)


def shuffled(count: int, generator: Any) -> Any:
    """Return the rows of the batches of one pass."""
    import torch

    return torch.randperm(count, generator=generator).split(BATCH)
