"""ROME: one fact after the other, each a rank-one change of one feed-forward block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mnemos.parametric.base import Edit
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.feedforward import chosen_blocks, middle
from mnemos.parametric.update.locate import (
    add_product,
    keys_of,
    place,
    places,
    read_at,
    sampled,
    second_moments,
    targets,
    texts_of,
)
from mnemos.parametric.update.search import Search, added_state
from mnemos.registry import Paper, register

SEARCH = Search()


@register(
    "rome",
    papers=(Paper("Locating and Editing Factual Associations in GPT", "2202.05262", "kmeng01/rome"),),
    task="editing",
    baselines=("constrained-fine-tuning",),
)
@dataclass(frozen=True)
class Rome:
    """Writes each fact as a key and a value into one block: W grows by r (C^-1 k)^T / (k^T C^-1 k).

    k is what the neurons of the block are at the subject's last token, on average over a few openings; r is what has to be
    added there for the new answer, found by gradients; C = E[k k^T] over text in general. As r-ROME does, r is what k is
    wanted to add itself, so that k's average is used on both sides. Costs 20 steps of a short batch a fact, and one
    inversion of C (N neurons: O(N^3)). Many facts in one block damage the model: MEMIT spreads them.
    """

    layer: int | None = None  # which block; None: the middle one (the paper traces it)
    texts: tuple[str, ...] = ()  # text in general; none: what the model says by itself
    search: Search = SEARCH  # for what has to be added
    ridge: float = 1e-3  # added to the diagonal of C, of its mean
    seed: int = 0  # of openings, and of what the model says

    def edit(self, model: Any, tokenizer: Any, edits: Sequence[Edit]) -> Change:
        """Change the model's weights in place; see `Editor`."""
        for edit in edits:
            place(tokenizer, edit.prompt, edit.subject)
            targets(tokenizer, edit)
        (block,) = chosen_blocks(model, (middle(model) if self.layer is None else self.layer,))
        openings = sampled(model, tokenizer, self.search.openings, 6, self.seed) if self.search.openings else []
        (moment,) = second_moments(model, [block], texts_of(model, tokenizer, self.texts, self.seed))
        moment += self.ridge * moment.diagonal().mean() * torch.eye(block.neurons, dtype=torch.double)
        factor = torch.linalg.cholesky(moment)
        with recorded(model, [block.down.name]) as recording:
            for edit in edits:
                added = added_state(model, tokenizer, edit, block, openings, self.search)
                (keys,) = read_at(model, places(tokenizer, edit, openings, self.search.where), [keys_of(block)])
                key = keys.mean(0).double().cpu()
                direction = torch.cholesky_solve(key[:, None], factor)[:, 0]
                row = (direction / (key @ direction)).to(added.device)
                add_product(recording, block.down, added[:, None], row[None])
        return recording.change
