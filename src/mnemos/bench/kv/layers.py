"""Layers with a memory, trained for the smallest task that shows what their paper claims: `mnemos bench kv-layers`.

- HCAM: recall a dance among 4 and 16 distractions, against attention to all of the past and an LSTM, each trained for
  the same 350 steps among 4;
- LongMem: answer about pairs read two segments ago, against the model alone and a network of that size without a bank;
- Attendre: answer questions whose facts are told only later, by how long queries wait; and questions that come again,
  by which entries are evicted.

The layers are trained once, in about half a minute, and kept beside the models of `train-models`. Contexts come from
seeds on which nothing was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry


@dataclass(frozen=True)
class Options:
    """How many contexts."""

    contexts: int = 400  # contexts of each task
    seed: int = 0  # seed of the training of the small model


def ballet(result: Result) -> Rows:
    """Return the answers on the ballet by the number of distractions."""
    rows = result["ballet"]
    counts = [name for name in next(iter(rows.values())) if name != "states"]
    head = [f"answered among {n} distractions" for n in counts]
    lines: Rows = [["a dance to recall", *head, "states attended to, of 100", "first chunk is the right one"]]
    for name, row in rows.items():
        hit = row[counts[-1]].get("hit_rate")
        cells = [percent(row[n]["accuracy"]) for n in counts]
        lines.append([name, *cells, row["states"] or "–", "–" if hit is None else percent(hit)])
    return lines


def far_back(result: Result) -> Rows:
    """Return the answers about pairs that were read two segments ago."""
    lines: Rows = [["pairs read two segments ago", "answered", "perplexity of the answers"]]
    return lines + [
        [name, percent(row["accuracy"]), f"{row['perplexity']:,.1f}"] for name, row in result["far back"].items()
    ]


def waiting(result: Result) -> Rows:
    """Return the answers by how long queries wait, and by which entries are evicted."""
    lines: Rows = [["task", "layer", "answered"]]
    return lines + [
        [task, name, percent(share)] for task, rows in result["waiting"].items() for name, share in rows.items()
    ]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a layer answers beside its baselines."""
    if entry.form != "activation":
        return None
    if entry.name == "hcam":
        own, *others = ((name, percent(row["16"]["accuracy"], 0)) for name, row in result["ballet"].items())
        return Figure(f"recalls {own[1]} of the dances among four times the distractions of the training", dict(others))
    if entry.name == "longmem":
        *others, own = ((name, percent(row["accuracy"], 0)) for name, row in result["far back"].items())
        return Figure(f"answers {own[1]} about what was read two segments ago", dict(others))
    if entry.name == "attendre":
        rows = result["waiting"]["told later"]
        waits = percent(rows["attendre: answered a chunk later"], 0)
        return Figure(
            f"answers {waits} of the questions whose facts come later",
            {"answered at once": percent(rows["answered at once"], 0)},
        )
    return None


@benchmark(
    "kv-layers",
    help="Layers with a memory, trained for the smallest task that shows their claim: HCAM, LongMem, Attendre.",
    options=Options,
    tables={"kv-layers-ballet": ballet, "kv-layers-far-back": far_back, "kv-layers-waiting": waiting},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train the layers or find them, and measure each beside its baselines."""
    import torch

    from mnemos.bench.kv import ballet, far_back, waiting
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.kv.tiny_models import train_tiny_model

    model = train_tiny_model("recall", options.seed).model
    progress.expect(3)
    found: dict[str, Any] = {}
    with one_thread(), torch.no_grad():
        found["ballet"] = ballet.measure(options.contexts)
        progress(1)
        found["far back"] = far_back.measure(model, options.contexts)
        progress(1)
        found["waiting"] = waiting.measure(options.contexts)
        progress(1)
    return {"seed": options.seed, "contexts": options.contexts, **found}
