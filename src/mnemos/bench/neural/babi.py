"""Readers in hops on bAbI (arXiv 1502.05698), beside an LSTM that reads the words: `mnemos bench babi`.

One model a task, from answers alone. Memory networks see each sentence as a bag of its words, so tasks that hang on the order
of words are out of their reach. Batches and steps are equal for all models and for both sizes of the training set; rates were
fixed beforehand. Figures are shares of wrong answers on the 1,000 questions of a test file, means over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnemos.bench.parts import seeded, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.bench.neural.babi_stories import Encoded

SIZES = {"1k": "en", "10k": "en-10k"}  # questions to train on -> folder
MODELS = ("3 hops", "1 hop", "LSTM")


@dataclass(frozen=True)
class Options:
    """The data, and how long a model is trained."""

    data: Path  # the folder with `en` and `en-10k`, the sets of 1,000 and of 10,000 questions
    tasks: tuple[int, ...] = (1, 2, 6, 11, 12, 15)  # numbers of tasks
    parts: tuple[str, ...] = tuple(SIZES)  # sets to train on
    steps: int = 1_000  # batches of 32 questions
    seeds: int = 3  # models of each kind


def wrong(model: str, sets: tuple[Encoded, Encoded, int], steps: int, seed: int) -> dict[str, float]:
    """Train a model and return the share of test questions that it answers wrongly."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from mnemos.bench.neural.associative_patterns import rng
    from mnemos.bench.neural.babi_models import Hops, Words
    from mnemos.bench.neural.babi_stories import Encoded

    train, test, vocabulary = sets
    torch.manual_seed(seed)
    net = Words(vocabulary) if model == "LSTM" else Hops(vocabulary, int(model[0]), train.facts.shape[1])
    optimiser = torch.optim.Adam(net.parameters(), 3e-3 if model == "LSTM" else 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        chosen = torch.randint(len(train.answers), (32,), generator=rng(step + seed * 10**6))
        net.begin(step / steps)
        loss = F.cross_entropy(net(Encoded(*(part[chosen] for part in train))), train.answers[chosen])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    net.begin(1)
    with torch.no_grad():
        said = torch.cat(
            [net(Encoded(*(part[i : i + 250] for part in test))).argmax(1) for i in range(0, len(test.answers), 250)]
        )
    return {"wrong": float((said != test.answers).double().mean())}


def mean_of(row: dict[str, Any], tasks: Sequence[int]) -> float:
    """Return the mean over tasks."""
    return float(sum(row[f"task {task} %"] for task in tasks) / len(tasks))


@benchmark(
    "babi",
    help="Wrong answers on bAbI's stories: readers in one and three hops beside an LSTM.",
    options=Options,
    tables={f"babi-{size}": table(size, "model") for size in SIZES},
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train each model on each task; see the module. Raises InvalidInput for an unknown size."""
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.neural.babi_stories import prepared

    if unknown := set(options.parts) - set(SIZES):
        raise InvalidInput(f"there is no size {sorted(unknown)[0]!r}: choose from {', '.join(SIZES)}.")
    progress.expect(len(options.parts) * len(options.tasks) * len(MODELS))
    # all files are read before the first model is trained, so that a missing one costs nothing
    sets = {
        (size, task): prepared(options.data / SIZES[size], task) for size in options.parts for task in options.tasks
    }
    found: dict[str, dict[str, Any]] = {}
    with one_thread():
        for size in options.parts:
            found[size] = {model: {} for model in MODELS}
            for task in options.tasks:
                for model in MODELS:
                    row = seeded(options.seeds, partial(wrong, model, sets[size, task], options.steps))
                    found[size][model] |= {key.replace("wrong", f"task {task} %"): value for key, value in row.items()}
                    progress(1)
            for row in found[size].values():
                row["mean %"] = mean_of(row, options.tasks)
    return {"seeds": options.seeds, "steps": options.steps, "parts": found}
