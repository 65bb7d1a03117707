"""Eight small tasks one after the other, by what is kept of them and what it cost: `mnemos bench trace`.

After TRACE (arXiv 2310.06762): overall performance after the last task, backward transfer (how far a task falls after it was
learned), and general probes that no task is about, here the places that the tiny model knows by heart and its reading of
what it is told. And after "How Efficient Are Today's Continual Learning Algorithms?" (arXiv 2303.18171): every method's
passes over tokens (a backward pass counts two forward ones) against one joint training, and the bytes that it keeps.

A task is to know the places of some names. *sequence* trains on each task as it comes; *reasons* learns half of the time the
answer after a sentence that says it; *replay*, *EWC* and *distillation and replay* are strategies of `parametric.consolidate`;
*retrain* learns all tasks so far from the start at every task; *datastore* trains nothing, it keeps the hidden state and the
answer of each example, one pass; *joint* learns all tasks at once, the yardstick of both. In *documents* a task is more of what
the model was trained on: new documents, and questions about what they say (horizontal continuity, arXiv 2404.16789; facts by
heart are vertical).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

if TYPE_CHECKING:
    from torch import Tensor

    from mnemos.bench.parametric.learning.streams import Labelled
    from mnemos.parametric.consolidate.learner import Learner

METHODS = (
    "sequence", "reasons", "replay", "EWC", "distillation and replay", "retrain", "datastore", "joint", "documents",
)  # fmt: skip
STOP = 2  # the token of a full stop
TOLD = 8  # facts of a document


@dataclass(frozen=True)
class Options:
    """The tasks and their training."""

    tasks: int = 8  # tasks, one after the other
    facts: int = 12  # facts of a task
    epochs: int = 30  # passes over a task's facts
    rate: float = 5e-4  # learning rate of Adam
    buffer: int = 4  # facts a task that replay has room for
    penalty: float = 2_000.0  # weight of EWC's penalty
    seeds: int = 3  # draws of the tasks
    methods: tuple[str, ...] = METHODS  # what is compared


def table(result: Result) -> Rows:
    """Return performance, transfer, probes, compute and bytes by method."""
    lines: Rows = [["method", "all tasks at the end", "backward transfer", "known by heart", "read in a context",
                    "compute, joint = 1", "kept, kB", "performance / compute"]]  # fmt: skip
    for method, row in result["methods"].items():
        cells = [
            f"{100 * row[n]:.1f} ± {100 * row[f'{n}_sd']:.1f} %"
            for n in ("performance", "transfer", "heart", "reading")
        ]
        ratio = row["compute"]
        lines.append(
            [method, *cells, f"{ratio:.2f}", f"{row['nbytes'] / 1e3:.1f}", f"{row['performance'] / ratio:.2f}"]
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
    from mnemos.bench.parametric.spread import over_seeds

    progress.expect(len(options.methods) * options.seeds)
    fresh, _ = tiny.load()
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in options.methods}
    for seed in range(options.seeds):
        yardstick = learned("joint", fresh, options, seed)["compute"]
        for method in options.methods:
            row = learned(method, fresh, options, seed)
            rows[method].append(row | {"compute": row["compute"] / yardstick})
            progress(1)
    means = {method: over_seeds(found) for method, found in rows.items()}
    return {"seeds": options.seeds, "tasks": options.tasks, "methods": means, "before": probes(fresh)}


def learned(method: str, fresh: Any, options: Options, seed: int) -> dict[str, float]:
    """Learn the tasks by a method; return what TRACE and the account of compute report, the latter in passes over tokens."""
    import torch

    from mnemos.bench.parametric.learning.lives import Life, accuracy, batches, live_head
    from mnemos.bench.parametric.learning.streams import Labelled, Task
    from mnemos.bench.parametric.metered import Metered
    from mnemos.bench.parametric.tiny import WORDS
    from mnemos.parametric.recall.neighbours import NeighboursHead

    tasks, model = drawn(options, seed, documents=method == "documents"), Metered(fresh)
    if method == "datastore":
        head = NeighboursHead(fresh.config.hidden_size, len(WORDS))
        lived = live_head(head, [Task(of, of) for of in (Labelled(model.states(t.x), t.y) for t in tasks)])
        ends = [end.accuracies for end in lived.accuracies.ends]
        return figures(ends, model.meter.compute, lived.nbytes, fresh)
    parts = [joined(tasks[: n + 1]) for n in range(len(tasks))] if method == "retrain" else tasks
    parts = [joined(tasks)] if method == "joint" else parts
    generator, made, ends = torch.Generator().manual_seed(seed), learner(method, model, options, seed), []
    life = Life(batch=24, epochs=options.epochs // 2 if method == "reasons" else options.epochs)
    for number, part in enumerate(parts):
        if method == "retrain":
            made = learner(method, Metered(fresh, model.meter), options, seed)
        for rows in batches(len(part.y), life, generator):
            made.observe(part.x[rows], part.y[rows], number)
            if method == "reasons":
                made.observe(reasoned(part.x[rows], part.y[rows]), part.y[rows], number)
        made.end_task()
        ends.append(tuple(accuracy(made, task) for task in tasks))
    return figures(ends, model.meter.compute, made.nbytes, made.model.lm)


def learner(method: str, model: Any, options: Options, seed: int) -> Learner:
    """Return what learns by a method."""
    import torch

    from mnemos.bench.parametric.learning.lives import fresh
    from mnemos.parametric.consolidate.anchor import Anchor
    from mnemos.parametric.consolidate.distillation import Distillation
    from mnemos.parametric.consolidate.replay import Replay

    replay = Replay(options.buffer * options.tasks, options.facts)
    strategies = {
        "replay": (replay,),
        "EWC": (Anchor(2 * options.penalty, fisher="empirical", samples=options.facts),),
        "distillation and replay": (replay, Distillation(temperature=1.0, of="all")),
    }
    return fresh(lambda: model, strategies.get(method, ()), seed, options.rate, torch.optim.Adam)


def drawn(options: Options, seed: int, documents: bool = False) -> list[Labelled]:
    """Return the tasks: names that the model does not know by heart, each with a place; as tokens, with a document or without."""
    import torch

    from mnemos.bench.parametric.learning.streams import Labelled
    from mnemos.bench.parametric.tiny import PLACES, WORDS
    from mnemos.bench.parametric.tiny import TOLD as PEOPLE

    rng, found = random.Random(f"continual{seed}"), []
    names = rng.sample(PEOPLE, options.tasks * options.facts)
    pairs = [(WORDS.index(name), WORDS.index(rng.choice(PLACES))) for name in names]
    for first in range(0, len(pairs), options.facts):
        facts = pairs[first : first + options.facts]
        y = torch.tensor([place for _, place in facts])
        text = [token for fact in facts[:TOLD] for token in (*fact, STOP)] if documents else []
        x = torch.tensor([[0, *text, name] for name, _ in facts])
        found.append(Labelled(x[:TOLD], y[:TOLD]) if documents else Labelled(x, y))
    return found


def reasoned(x: Tensor, y: Tensor) -> Tensor:
    """Return questions (N, 2) after the sentence that answers each: (N, 5)."""
    import torch

    return torch.cat([x, y[:, None], torch.full_like(y[:, None], STOP), x[:, 1:]], 1)


def joined(tasks: Sequence[Labelled]) -> Labelled:
    """Return tasks as one."""
    import torch

    from mnemos.bench.parametric.learning.streams import Labelled

    return Labelled(torch.cat([t.x for t in tasks]), torch.cat([t.y for t in tasks]))


def probes(lm: Any) -> dict[str, float]:
    """Return the shares of places known by heart, and read in a context."""
    import torch

    from mnemos.bench.parametric.tiny import KNOWN, OTHERS, PLACES, WORDS

    rng = random.Random(0)
    told = [(WORDS.index(name), WORDS.index(rng.choice(PLACES))) for name in OTHERS[:TOLD]]
    context = [token for fact in told for token in (*fact, STOP)]
    asked = {
        "heart": ([[0, WORDS.index(name)] for name in KNOWN], [WORDS.index(place) for place in KNOWN.values()]),
        "reading": ([[0, *context, name] for name, _ in told], [place for _, place in told]),
    }
    with torch.no_grad():
        return {
            probe: float((lm(torch.tensor(x)).logits[:, -1].argmax(-1) == torch.tensor(y)).float().mean())
            for probe, (x, y) in asked.items()
        }


def figures(ends: Sequence[Sequence[float]], compute: float, nbytes: int, lm: Any) -> dict[str, float]:
    """Return what TRACE and the account of compute report, of the accuracies after each task."""
    last = ends[-1]
    transfer = [last[i] - ends[i][i] for i in range(len(ends) - 1)] or [0.0]
    return {"performance": fmean(last), "transfer": fmean(transfer), "compute": compute, "nbytes": nbytes, **probes(lm)}
