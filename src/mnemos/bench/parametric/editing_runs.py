"""What `mnemos bench editing` measures of a model and its editors."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from mnemos.bench.parametric.compressed_models import perplexity
from mnemos.bench.parametric.fact_models import PEOPLE, Family, Knowledge, trained, used_values, whole_words
from mnemos.bench.parametric.facts import make_world
from mnemos.parametric.answers import answered, greedy
from mnemos.parametric.base import Edit, Editor, Example
from mnemos.parametric.tokens import prompt_ids
from mnemos.parametric.update.fine_tuning import ConstrainedFineTuning
from mnemos.parametric.update.locate import as_example
from mnemos.parametric.update.memit import Memit
from mnemos.parametric.update.rome import Rome
from mnemos.parametric.update.search import Search

SEARCH = Search(where="prompt", essence="{}", decay=0.05, steps=25, openings=2)
ALPHA = "memit (null: AlphaEdit)"
EDITORS: Mapping[str, Editor] = {
    "constrained-fine-tuning": ConstrainedFineTuning(layer=0, bound=0.02, rate=2e-3),
    "rome": Rome(layer=1, search=SEARCH, ridge=0.1),
    "memit": Memit(layers=(1, 2), weight=1.0, search=SEARCH, ridge=0.1),
    ALPHA: Memit(layers=(1, 2), null=1e-3, search=SEARCH),
}


def measure(counts: Sequence[int], steps: int, seed: int, cache: Path | None) -> dict[str, Any]:
    """Return the figures of one world."""
    world = make_world(PEOPLE, values=16, seed=seed)
    values, tokenizer, undone = used_values(world), whole_words(world), True
    found: dict[str, Any] = {}
    families: tuple[Family, ...] = ("llama", "gpt2")
    for family in families:
        model = trained(Knowledge(world.facts, ()), family, steps, seed, cache, tokenizer)
        rng = random.Random(f"edits {seed}")
        texts = tuple(fact.statement(rng.randrange(3)) for fact in rng.choices(world.facts, k=60))
        for count in counts:
            chosen = rng.sample(world.facts, count)
            edits = [f.edit(rng.choice([v for v in values[f.relation] if v != f.value])) for f in chosen]
            asked = Asked(
                [as_example(edit) for edit in edits],
                [Example(f.prompt(t), edit.target) for f, edit in zip(chosen, edits, strict=True) for t in (1, 2)],
                [f.prompt(t) for f in world.facts if f not in chosen for t in range(3)],
                1,
            )
            for name, editor in EDITORS.items():
                used = replace(editor, texts=texts) if isinstance(editor, Rome | Memit) else editor
                row, exact = edited(model, tokenizer, used, edits, asked)
                found.setdefault(family, {}).setdefault(str(count), {})[name] = row
                undone &= exact
    return {"tiny": found, "undone": undone}


class Asked:
    """What a model is asked after all edits."""

    def __init__(self, edited: list[Example], reworded: list[Example], others: list[str], tokens: int) -> None:
        self.edited, self.reworded, self.others, self.tokens = edited, reworded, others, tokens

    def rest(self, model: Any, tokenizer: Any) -> list[list[int]]:
        """Return the first tokens that a model says to all other prompts."""
        said: list[list[int]] = greedy(model, [prompt_ids(tokenizer, prompt) for prompt in self.others], self.tokens)
        return said


def edited(
    model: Any, tokenizer: Any, editor: Editor, edits: Sequence[Edit], asked: Asked, windows: Any = None
) -> tuple[dict[str, Any], bool]:
    """Edit a model, ask it, and undo; returns the figures, and whether the undo was exact."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    said = asked.rest(model, tokenizer)
    started = time.process_time()
    change = editor.edit(model, tokenizer, edits)
    seconds = time.process_time() - started
    after = model.state_dict()
    changed = [t for name, t in before.items() if not torch.equal(t, after[name])]
    touched = sum(t.numel() * t.element_size() for t in changed)
    row = {
        "reliability": fmean(answered(model, tokenizer, asked.edited)),
        "paraphrase": fmean(answered(model, tokenizer, asked.reworded)),
        "locality": fmean(a == b for a, b in zip(said, asked.rest(model, tokenizer), strict=True)),
        "seconds": seconds / len(edits),
        "held": change.nbytes / max(touched, 1),
    }
    if windows is not None:
        row["perplexity"] = perplexity(model, windows)
    change.undo()
    return row, all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
