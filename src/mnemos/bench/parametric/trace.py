"""Eight small tasks one after the other, by what is kept of them and what it cost: `mnemos bench trace`.

After TRACE (arXiv 2310.06762): overall performance after the last task, backward transfer (how far a task falls after it was
learned), and general probes that no task is about, here the places that the tiny model knows by heart and its reading of
what it is told. And after "How Efficient Are Today's Continual Learning Algorithms?" (arXiv 2303.18171): every method's
passes over tokens (a backward pass counts two forward ones) against one joint training, and the bytes that it keeps.

A task is to know the places of some names. *sequence* trains on each task as it comes; *replay* mixes in examples of earlier
tasks from a buffer; *EWC* holds weights that mattered; *distillation and replay* also matches the model before the task;
*retrain* learns all tasks so far from the start at every task; *datastore* trains nothing, it keeps the hidden state and the
answer of each example, one pass; *joint* learns all tasks at once, the yardstick of both.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, Literal

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

if TYPE_CHECKING:
    from torch import Tensor

Method = Literal["sequence", "replay", "EWC", "distillation and replay", "retrain", "datastore", "joint"]
METHODS: tuple[Method, ...] = ("sequence", "replay", "EWC", "distillation and replay", "retrain", "datastore", "joint")
Pairs = list[tuple[int, int]]  # (name, place) as tokens
BACKWARD = 2  # passes that a backward pass counts


@dataclass(frozen=True)
class Options:
    """The tasks and their training."""

    tasks: int = 8  # tasks, one after the other
    facts: int = 12  # facts of a task
    epochs: int = 30  # passes over a task's facts
    rate: float = 5e-4  # learning rate of Adam
    buffer: int = 4  # facts of each earlier task that replay keeps
    penalty: float = 2_000.0  # weight of EWC's penalty
    seeds: int = 3  # draws of the tasks
    methods: tuple[str, ...] = METHODS  # what is compared


@dataclass
class Learner:
    """A model that learns, with what its method keeps, and the account of what it did."""

    model: Any
    forward: int = 0  # tokens read
    backward: int = 0  # tokens trained on
    kept: Pairs = field(default_factory=list)
    anchors: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # EWC: values and importance, by parameter
    states: list[tuple[Tensor, int]] = field(default_factory=list)  # datastore: hidden state and place

    @property
    def compute(self) -> int:
        """Passes over tokens, a backward pass counting as two forward ones."""
        return self.forward + BACKWARD * self.backward

    @property
    def nbytes(self) -> int:
        """Bytes that the method keeps beside the model."""
        tensors = [t for pair in self.anchors for t in pair] + [state for state, _ in self.states]
        return sum(int(t.numel() * t.element_size()) for t in tensors) + 8 * (len(self.kept) + len(self.states))


def table(result: Result) -> Rows:
    """Return performance, transfer, probes, compute and bytes by method."""
    lines: Rows = [["method", "all tasks at the end", "backward transfer", "known by heart", "read in a context",
                    "compute, joint = 1", "kept, kB", "performance / compute"]]  # fmt: skip
    for method, row in result["methods"].items():
        cells = [
            f"{100 * row[n][0]:.1f} ± {100 * row[n][1]:.1f} %" for n in ("performance", "transfer", "heart", "reading")
        ]
        ratio = row["compute"][0]
        lines.append(
            [method, *cells, f"{ratio:.2f}", f"{row['nbytes'][0] / 1e3:.1f}", f"{row['performance'][0] / ratio:.2f}"]
        )
    before = result["before"]
    lines.append(["before", "–", "–", percent(before["heart"]), percent(before["reading"]), "–", "–", "–"])
    return lines


@benchmark(
    "trace",
    help="Eight tasks one after the other: what is kept of them, what else falls, and the compute against one training.",
    options=Options,
    tables={"trace": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return mean and spread over the seeds of every figure of every method."""
    from mnemos.bench.parametric import tiny

    progress.expect(len(options.methods) * options.seeds)
    fresh, _ = tiny.load()
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in options.methods}
    for seed in range(options.seeds):
        tasks = drawn(options, seed)
        yardstick = learned("joint", fresh, tasks, options, seed)[0].compute
        for method in options.methods:
            learner, after = learned(method, fresh, tasks, options, seed)
            rows[method].append(figures(learner, after, yardstick))
            progress(1)
    means = {
        m: {k: [round(fmean(r[k] for r in f), 4), round(pstdev([r[k] for r in f]), 4)] for k in f[0]}
        for m, f in rows.items()
    }
    return {"seeds": options.seeds, "tasks": options.tasks, "methods": means, "before": probes(Learner(fresh))}


def over(rows: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Return mean and standard deviation of every figure over the seeds."""
    return {key: [round(f([row[key] for row in rows]), 4) for f in (fmean, pstdev)] for key in rows[0]}


def drawn(options: Options, seed: int) -> list[Pairs]:
    """Return the tasks: names that the model does not know by heart, each with a place."""
    from mnemos.bench.parametric.tiny import PLACES, TOLD, WORDS

    rng = random.Random(f"continual{seed}")
    names = rng.sample(TOLD, options.tasks * options.facts)
    pairs = [(WORDS.index(name), WORDS.index(rng.choice(PLACES))) for name in names]
    return [pairs[i : i + options.facts] for i in range(0, len(pairs), options.facts)]


def learned(
    method: str, fresh: Any, tasks: Sequence[Pairs], options: Options, seed: int
) -> tuple[Learner, list[list[float]]]:
    """Learn the tasks by a method; return the learner and, after each task, the accuracy on every task."""
    import torch

    learner = Learner(copy.deepcopy(fresh).requires_grad_(True))
    after = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rng = random.Random(seed)
        if method == "joint":
            fit(learner, [pair for task in tasks for pair in task], options, rng)
            return learner, [[accuracy(learner, task) for task in tasks]] * len(tasks)
        for number in range(1, len(tasks) + 1):
            step(method, learner, fresh, tasks[:number], options, rng)
            after.append([accuracy(learner, each) for each in tasks])
    return learner, after


def step(
    method: str, learner: Learner, fresh: Any, tasks: Sequence[Pairs], options: Options, rng: random.Random
) -> None:
    """Learn the last of the tasks."""
    task = tasks[-1]
    if method == "datastore":
        learner.states += [(state, place) for state, (_, place) in zip(states(learner, task), task, strict=True)]
        return
    if method == "retrain":
        learner.model = copy.deepcopy(fresh).requires_grad_(True)
        fit(learner, [pair for each in tasks for pair in each], options, rng)
        return
    teacher = copy.deepcopy(learner.model) if method == "distillation and replay" and learner.kept else None
    fit(learner, task, options, rng, replayed="replay" in method, teacher=teacher)
    if "replay" in method:
        learner.kept += rng.sample(task, min(options.buffer, len(task)))
    if method == "EWC":
        learner.anchors = anchored(learner, task)


def fit(
    learner: Learner, pairs: Pairs, options: Options, rng: random.Random, replayed: bool = False, teacher: Any = None
) -> None:
    """Train for the epochs of the options, in batches of up to 24; count every token that is read or trained on."""
    import torch

    optimizer = torch.optim.Adam(learner.model.parameters(), lr=options.rate)
    for _ in range(options.epochs):
        for start in range(0, len(pairs), 24):
            batch = rng.sample(pairs, len(pairs))[start : start + 24] if len(pairs) <= 24 else rng.sample(pairs, 24)
            old = rng.sample(learner.kept, min(len(batch), len(learner.kept))) if replayed else []
            loss = cost(learner, batch + old)
            if teacher is not None:
                loss = loss + divergence(learner, teacher, old + batch)
            for parameter, (value, importance) in zip(learner.model.parameters(), learner.anchors, strict=False):
                loss = loss + options.penalty * (importance * (parameter - value) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def ids(pairs: Pairs) -> Tensor:
    """Return the texts of pairs as tokens, (N, 4): begin, name, place, stop."""
    import torch

    return torch.tensor([[0, name, place, 2] for name, place in pairs])


def cost(learner: Learner, pairs: Pairs) -> Tensor:
    """Return the loss of the places, and count the tokens."""
    import torch

    x = ids(pairs)
    learner.forward += x.numel()
    learner.backward += x.numel()
    logits = learner.model(x).logits[:, 1]
    return torch.nn.functional.cross_entropy(logits, x[:, 2])


def divergence(learner: Learner, teacher: Any, pairs: Pairs) -> Tensor:
    """Return how far the places differ from what a teacher says, and count the tokens of both."""
    import torch

    x = ids(pairs)
    learner.forward += 2 * x.numel()
    learner.backward += x.numel()
    with torch.no_grad():
        wanted = teacher(x).logits[:, 1].log_softmax(-1)
    given = learner.model(x).logits[:, 1].log_softmax(-1)
    return torch.nn.functional.kl_div(given, wanted, log_target=True, reduction="batchmean")


def anchored(learner: Learner, pairs: Pairs) -> list[tuple[Tensor, Tensor]]:
    """Return the parameters and their importance: squared gradients of each fact, added to that of earlier tasks."""
    import torch

    importance = [torch.zeros_like(p) for p in learner.model.parameters()]
    for pair in pairs:
        learner.model.zero_grad()
        cost(learner, [pair]).backward()
        for total, parameter in zip(importance, learner.model.parameters(), strict=True):
            total += parameter.grad**2 / len(pairs)
    before = [old for _, old in learner.anchors] or [torch.zeros_like(p) for p in importance]
    return [
        (p.detach().clone(), new + old)
        for p, new, old in zip(learner.model.parameters(), importance, before, strict=True)
    ]


def states(learner: Learner, pairs: Pairs) -> Tensor:
    """Return the last hidden state of every name, (N, D), and count the tokens."""
    import torch

    x = ids(pairs)[:, :2]
    learner.forward += x.numel()
    with torch.no_grad():
        return learner.model(x, output_hidden_states=True).hidden_states[-1][:, -1]


def accuracy(learner: Learner, pairs: Pairs) -> float:
    """Return the share of names whose place is the most likely, or that of the nearest state in a datastore."""
    import torch

    x = ids(pairs)
    with torch.no_grad():
        if learner.states:
            asked = learner.model(x[:, :2], output_hidden_states=True).hidden_states[-1][:, -1]
            near = torch.cdist(asked, torch.stack([state for state, _ in learner.states]))
            places = torch.tensor([place for _, place in learner.states])
            found = places[near.argmin(-1)]
            return float((found == x[:, 2]).float().mean())
        return float((learner.model(x[:, :2]).logits[:, -1].argmax(-1) == x[:, 2]).float().mean())


def probes(learner: Learner) -> dict[str, float]:
    """Return the shares known by heart and read in a context; a datastore leaves both as they were."""
    import torch

    from mnemos.bench.parametric.tiny import KNOWN, OTHERS, PLACES, WORDS

    heart = [(WORDS.index(name), WORDS.index(place)) for name, place in KNOWN.items()]
    rng = random.Random(0)
    told = [(WORDS.index(name), WORDS.index(rng.choice(PLACES))) for name in OTHERS]
    context = [token for name, place in told for token in (name, place, 2)][:24]
    x = torch.tensor([[0, *context, name] for name, _ in told[:8]])
    with torch.no_grad():
        read = (
            (learner.model(x).logits[:, -1].argmax(-1) == torch.tensor([place for _, place in told[:8]])).float().mean()
        )
    return {"heart": accuracy(Learner(learner.model), heart), "reading": float(read)}


def figures(learner: Learner, after: Sequence[Sequence[float]], yardstick: int) -> dict[str, float]:
    """Return what TRACE and the account of compute report."""
    last = after[-1]
    transfer = [last[i] - after[i][i] for i in range(len(after) - 1)]
    return {
        "performance": fmean(last),
        "transfer": fmean(transfer),
        "compute": learner.compute / yardstick,
        "nbytes": learner.nbytes,
        **probes(learner),
    }
