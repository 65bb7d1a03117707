"""Contexts far beyond the trained length: `mnemos bench kv-long`.

The small model was trained on contexts of up to 72 tokens. Here it reads up to 1,024: with full attention, with the
last tokens alone, with blocks that are fetched on demand, and, as the upper bound of fetching, with the block
that holds the answer and nothing else (oracle). A question is asked of a copy of the cache; its
whole answer must be right. Contexts of 64 tokens are also cut into pieces that are read alone and joined, as in the
mode "block" of KV cubes. Contexts come from seeds on which nothing was chosen.
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

    contexts: int = 25  # contexts of each length
    seed: int = 0  # seed of the training of the small model


def key_value(result: Result) -> Rows:
    """Return the answers to key-value questions by the length of the context."""
    found = result["key-value"]
    lengths = list(next(iter(found.values())))
    lines: Rows = [[f"trained on contexts to {result['trained']}; context of", *lengths]]
    return lines + [[name, *(f"{scores[n]:.2f}" for n in lengths)] for name, scores in found.items()]


def passkey(result: Result) -> Rows:
    """Return the answers to the passkey by its depth in the longest context."""
    found = result["passkey"]
    depths = list(next(iter(found.values())))
    longest = list(next(iter(result["key-value"].values())))[-1]
    lines: Rows = [[f"passkey in {longest} tokens, at", *(f"{100 * float(d):g} %" for d in depths)]]
    return lines + [[name, *(f"{scores[d]:.2f}" for d in depths)] for name, scores in found.items()]


def joined(result: Result) -> Rows:
    """Return what reading pieces alone and joining them costs."""
    lines: Rows = [["64 tokens in pieces of", "answered, pieces in order", "answered, in another order"]]
    return lines + [[size, *(f"{score:.2f}" for score in scores)] for size, scores in result["joined"].items()]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a store of blocks answers in the longest contexts."""
    names = {name.removesuffix(" (ours)").replace(" ", "-"): name for name in result["key-value"]}
    if entry.form != "activation" or entry.name not in names:
        return None

    def cell(name: str) -> str:
        return percent(result["key-value"][name]["1024"], 0)

    times = round(1024 / result["trained"])
    text = f"answers {cell(names[entry.name])} of `key-value` in texts {times} times as long as those of the training"
    return Figure(text, {name: cell(name) for name in ("window", "full attention")})


@benchmark(
    "kv-long",
    help="Blocks that are fetched on demand, in contexts of up to 16 times the trained length.",
    options=Options,
    tables={"kv-long": key_value, "kv-long-passkey": passkey, "kv-joined": joined},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure key-value questions by length, the passkey by depth at the longest, and joined pieces."""
    from mnemos.bench.kv.long_contexts import compare
    from mnemos.bench.kv.tiny_models import train_tiny_model

    small = train_tiny_model("recall", options.seed)
    trained = small.record["recipe"]["longest"]
    found = compare(small.model, options.contexts, progress)
    return {"seed": options.seed, "contexts": options.contexts, "trained": trained, **found}
