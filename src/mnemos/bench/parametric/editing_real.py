"""Facts edited in the weights of a real decoder: `mnemos bench editing-real`.

Lines of CounterFact are edited all at once; then the model is asked by greedy answers: the edited prompts, one in other words
for each, and a prompt about another subject, whose next three tokens are to be those that the original says. The perplexity
of a text says what else fell.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.parametric.editing import WHAT, costs
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class Options:
    """What is edited."""

    model: str  # a decoder: its folder, or smollm2
    facts: Path  # CounterFact, a line of JSON each
    text: Path  # a file of text: its beginning for what editors need to know of text in general, its end is read
    edits: int = 8  # lines that are edited, all at once
    layer: int = 5  # whose block is edited; MEMIT edits the two below it, too


def real(result: Result) -> Rows:
    """Return how editors fare."""
    lines: Rows = [["editor", *WHAT, "perplexity of a text", "seconds an edit", "bytes to undo, of those changed"]]
    for name, row in result["editors"].items():
        shares = [percent(fmean(row[what]), 0) for what in WHAT]
        lines.append([name, *shares, f"{fmean(row['perplexity']):.2f}", *costs(row)])
    return lines


@benchmark(
    "editing-real",
    help="Facts of CounterFact edited in a real decoder, by greedy answers after all edits.",
    options=Options,
    tables={"editing-real": real},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Edit the model by every method, ask it, and undo."""
    import torch

    from mnemos.activation.pretrained import load_decoder, load_tokenizer
    from mnemos.bench.parametric.editing_runs import ALPHA, Asked, edited
    from mnemos.parametric.base import Edit, Editor
    from mnemos.parametric.update.fine_tuning import ConstrainedFineTuning
    from mnemos.parametric.update.locate import as_example
    from mnemos.parametric.update.memit import Memit
    from mnemos.parametric.update.rome import Rome
    from mnemos.parametric.update.search import Search

    lines = [json.loads(line) for line in options.facts.read_text("utf-8").splitlines()]
    chosen = [line for line in lines if line["subject"] in line["prompt"]][: options.edits]
    if not chosen:
        raise InvalidInput(f"{options.facts.name} has no line whose subject is in its prompt: give CounterFact.")
    model, tokenizer = load_decoder(options.model), load_tokenizer(options.model)
    edits = [Edit(line["prompt"], line["subject"], line["target_new"]) for line in chosen]
    reworded = [as_example(Edit(line["rephrase_prompt"], line["subject"], line["target_new"])) for line in chosen]
    asked = Asked([as_example(e) for e in edits], reworded, [line["locality_prompt"] for line in chosen], 3)
    prose = options.text.read_text("utf-8")
    texts = tuple(part for part in prose[:60_000].split("\n") if len(part) > 300)[:30]
    windows = torch.tensor(tokenizer(prose[-8_000:])["input_ids"][:1024]).view(-1, 256)
    layer, search = options.layer, Search(openings=2)
    layers = tuple(range(max(layer - 2, 0), layer + 1))
    editors: dict[str, Editor] = {
        "constrained-fine-tuning": ConstrainedFineTuning(layer=layer, bound=5e-3, rate=1e-3, steps=40),
        "rome": Rome(layer=layer, texts=texts, search=search, ridge=0.1),
        "memit": Memit(layers, texts=texts, search=search, ridge=0.1),
        ALPHA: Memit(layers, null=1e-2, texts=texts, search=search),
    }
    progress.expect(len(editors))
    found, undone = {}, True
    for name, editor in editors.items():
        row, exact = edited(model, tokenizer, editor, edits, asked, windows)
        found[name] = {what: [value] for what, value in row.items()}
        undone &= exact
        progress(1)
    about = {"model": Path(options.model).name, "facts": options.facts.name, "text": options.text.name}
    return {**about, "edits": len(edits), "layer": layer, "undone": undone, "editors": found}
