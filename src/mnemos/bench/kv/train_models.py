"""The small models of the KV benchmarks, and what they answer with a full cache: `mnemos bench train-models`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark


@dataclass(frozen=True)
class Options:
    """Which models, and how they are asked."""

    kind: tuple[str, ...] = ("recall", "heads", "mha", "long")  # models to train
    seed: int = 0  # seed of the training
    contexts: int = 100  # contexts of a task


def table(result: Result) -> Rows:
    """Return what the small models answer with a full cache, by the length of the context, and what training took."""
    lines: Rows = []
    for kind, row in result["kinds"].items():
        for length, scores in row["accuracy"].items():
            size = [f"{row['parameters']:,}", row["steps"], f"{row['cpu_seconds']:.0f}"]
            lines.append([kind, *size, length, *(percent(score) for score in scores.values())])
    names = (name.replace("-", " ") for name in scores)
    return [["model", "parameters", "steps", "processor time, s", "context", *names], *lines]


@benchmark(
    "train-models",
    help="Train the small models of the kv benchmarks, once, and measure what they answer with a full cache.",
    options=Options,
    tables={"train-models": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the record of each kind's training, and its accuracies at 64 tokens and near its longest context.

    Kinds that are in the cache are not trained again: their record is that of their training. The contexts have another
    seed than those of the training.
    """
    from mnemos.bench.kv.answers import full
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.kv.tiny_models import train_tiny_model

    seed, kinds = options.seed, {}
    for name in options.kind:
        small = train_tiny_model(name, seed, progress=progress)
        lengths = sorted({64, small.record["recipe"]["longest"] - 8})
        with one_thread():
            scores = {str(length): full(small.model, length, options.contexts, seed + 1) for length in lengths}
        kinds[name] = small.record | {"accuracy": scores}
    return {"seed": seed, "contexts": options.contexts, "kinds": kinds}
