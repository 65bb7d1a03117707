"""Memory layers, banks, heads and distilled datastores against what their papers compare them with: `mnemos bench slots`.

- `product-keys`: the best slots against all keys compared one by one, and the time of a look-up as slots grow.
- `layers`: small language models on a made-up world, each with another block in the place of a feed-forward block; facts
  known by heart after the same steps, at no more multiplications a token; how evenly slots are used with a norm of
  queries and without.
- `variants`: the same for experts, UltraMem, and pools that are larger or shared.
- `staged`: a Mamba whose product keys are switched on after it has read for a while, from the first step on, or never.
- `facts`: new facts beside a frozen model: `memory-slots` against LoRA, trained alike until every answer is sure; what
  falls elsewhere, and one item removed.
- `bank`: rare and common facts of topics, with one path of the tree fetched, a wrong path, one shared block of the same
  size, and none; one leaf removed, and the bytes read from disk.
- `heads`: classes that come one after the other over frozen features, and exact deletion.
- `mlp`: a datastore of hidden states and the MLP that it is distilled into.

Everything is trained on one thread. A figure is a mean over seeds, with the standard deviation behind it.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mnemos.bench import part_tables
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> its module in this package
    "product-keys": "slots_keys",
    "layers": "slots_layers",
    "variants": "slots_variants",
    "staged": "slots_staged",
    "facts": "slots_facts",
    "bank": "slots_bank",
    "heads": "slots_heads",
    "mlp": "slots_mlp",
}
FIGURES = {  # method -> part, row, rows that it is compared with, column, and what the column says
    "product-keys": ("layers", "product keys", ("feed-forward", "deeper, as slow"), "known", "knows {} of the facts"),
    "memory-layers": ("layers", "memory layer", ("feed-forward", "product keys"), "known", "knows {} of the facts"),
    "ultramem": ("variants", "ultramem", ("8 experts, 2 read",), "known", "knows {} of the facts"),
    "memory-slots": ("facts", "memory slots", ("LoRA",), "old_lost", "loses {} of the old facts"),
    "hierarchical-bank": ("bank", "own path", ("wrong path", "one shared block", "no bank"), "rare", "knows {} of rare facts"),
    "discrete-key-value-bottleneck": (
        "heads", "bottleneck", ("linear head", "bottleneck, shuffled"), "right", "is right for {} of digits by class",
    ),
    "ridge-head": ("heads", "ridge", ("linear head",), "right", "is right for {} of digits by class"),
    "mlp-memory": ("mlp", "MLP memory", ("model alone", "MLP by labels", "datastore"), "perplexity", "has a perplexity of {}"),
    "knn-lm": ("mlp", "datastore", ("model alone",), "perplexity", "has a perplexity of {}"),
}  # fmt: skip
SHARES = (
    "known",
    "old_lost",
    "rare",
    "common",
    "right",
    "recalled",
    "paraphrased",
    "used",
    "exact",
    "written",
    "removed",
    "others",
)


@dataclass(frozen=True)
class Options:
    """Which parts, how often, on what data."""

    parts: tuple[str, ...] = (
        "product-keys",
        "layers",
        "variants",
        "staged",
        "facts",
        "bank",
        "heads",
        "mlp",
    )  # what to measure
    seeds: int = 3  # worlds, models and orders
    mnist: Path | None = None  # mnist.npz with x_train, y_train, x_test, y_test, for heads
    clinc: Path | None = None  # folder of clinc150 with train.jsonl and test.jsonl, for heads
    cells: Path | None = None  # folder where finished cells are kept, for a run that goes on where it ended
    add_to: Path | None = None  # an earlier result with the same seeds, whose other parts are kept


cell = partial(part_tables.cell, shares=SHARES, digits=4)
figure = partial(part_tables.figure_of, FIGURES, "parametric", cell)
table = partial(part_tables.table, write=cell, space="_")


@benchmark(
    "slots",
    help="Memory layers, banks, heads and distilled datastores: what they know, forget elsewhere and cost.",
    options=Options,
    tables={
        "slots-product-keys": table("product-keys", "slots"),
        "slots-layers": table("layers", "block"),
        "slots-variants": table("variants", "block"),
        "slots-staged": table("staged", "model"),
        "slots-facts": table("facts", "beside the model"),
        "slots-bank": table("bank", "fetched"),
        "slots-heads": table("heads", "head"),
        "slots-mlp": table("mlp", "next to the model"),
    },
    plot=lambda result, path: importlib.import_module(f"{__package__}.slots_plot").plot(result, path),
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part; see the module."""
    from mnemos.bench.kv.threads import one_thread

    progress.expect(len(options.parts))
    found: dict[str, Any] = {}
    if options.add_to is not None and options.add_to.exists():
        found = json.loads(options.add_to.read_text(encoding="utf-8"))["parts"]
    with one_thread():
        for part in options.parts:
            module = importlib.import_module(f"{__package__}.{PARTS[part]}")
            found[part] = module.measure(options)
            progress(1)
    return {"seeds": options.seeds, "parts": {part: found[part] for part in PARTS if part in found}}
