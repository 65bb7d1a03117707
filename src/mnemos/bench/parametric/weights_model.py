"""The small model of the benchmarks of weights, trained again: `mnemos bench weights-model --out FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark


@dataclass(frozen=True)
class Options:
    """How it is trained."""

    steps: int = 1500  # of 64 rows; a third as many follow
    seed: int = 0  # of its weights and its texts
    weights: Path | None = None  # a file to write the weights to, in float16; without it nothing is kept


def table(result: Result) -> Rows:
    """Return what the model knows and reads."""
    return [
        ["parameters", "steps", "processor time, s", "old facts", "in context", "context wins", "untold", "loss"],
        [f"{result['parameters']:,}", result["steps"], f"{result['cpu_seconds']:.0f}",
         *(f"{result['measures'][m]:.3f}" for m in ("old", "in context", "context wins", "recall", "loss"))],
    ]  # fmt: skip


@benchmark(
    "weights-model",
    help="Train the small model of the benchmarks of weights, and measure what it knows and reads.",
    options=Options,
    tables={"weights-model": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train the model and measure it as it is shipped: in float16."""
    import time

    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric import one_document, tiny, tiny_training

    progress.expect(options.steps + options.steps // 3)
    with one_thread():
        started = time.process_time()
        model, losses = tiny_training.fit(options.seed, options.steps, progress)
        seconds = time.process_time() - started
        if options.weights is not None:
            tiny_training.save(model, options.weights)
        model = model.half().float()
        found = one_document.measures(model, tiny.tokenizer(), tiny.document(16, 60_000))
    return {
        "parameters": sum(p.numel() for p in model.parameters()), "steps": len(losses), "seed": options.seed,
        "cpu_seconds": round(seconds, 1), "last_loss": round(losses[-1], 4), "measures": found,
    }  # fmt: skip
