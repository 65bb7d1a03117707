"""MEMIT: many facts at once, spread over several feed-forward blocks; AlphaEdit is the same in a null space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnemos.parametric.base import Edit
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.feedforward import Block, chosen_blocks, middle
from mnemos.parametric.update.locate import (
    Where,
    add_product,
    keys_of,
    place,
    places,
    read_at,
    sampled,
    second_moments,
    states_of,
    targets,
    texts_of,
)
from mnemos.parametric.update.search import Search, added_state
from mnemos.registry import Paper, register

SEARCH = Search(clamp=0.75)  # the paper's for GPT-J


@register(
    "memit",
    papers=(
        Paper("Mass-Editing Memory in a Transformer", "2210.07229", "kmeng01/memit"),
        Paper(
            "AlphaEdit: Null-Space Constrained Knowledge Editing for Language Models",
            "2410.02355",
            "jianghoucheng/AlphaEdit",
        ),
    ),
    task="editing",
    baselines=("constrained-fine-tuning", "rome"),
)
@dataclass(frozen=True)
class Memit:
    """Writes all facts into a few blocks by least squares: W grows by R K^T (weight C + K K^T)^-1.

    What has to be added for each answer is sought at the last of the blocks; each block from the lowest up adds its share of
    what is still missing (R), for all keys K at once. C = E[k k^T] over text in general. With `null` (AlphaEdit) the
    change has no part in the directions of text in general: W grows by R K^T P (K K^T P + I)^-1, where P projects on the
    eigenvectors of C below `null` times the largest; the paper's threshold is an absolute number, which does not carry
    over from one model to another. Costs 20 steps of a short batch a fact and O(N^3) a block.
    """

    layers: tuple[int, ...] = ()  # which blocks, lowest first; none: the middle one and that below it
    weight: float = 15_000.0  # of C: what text in general weighs against the facts
    null: float | None = None  # AlphaEdit: eigenvalues of C that count as none, of the largest
    texts: tuple[str, ...] = ()  # text in general; none: what the model says by itself
    search: Search = SEARCH  # for what has to be added
    ridge: float = 1e-3  # added to the diagonal of C, of its mean
    seed: int = 0  # of openings, and of what the model says

    def edit(self, model: Any, tokenizer: Any, edits: Sequence[Edit]) -> Change:
        """Change the model's weights in place; see `Editor`."""
        plain = [place(tokenizer, edit.prompt, edit.subject, (), self.search.where) for edit in edits]
        for edit in edits:
            targets(tokenizer, edit)
        last = middle(model)
        blocks = chosen_blocks(model, self.layers or tuple(range(max(last - 1, 0), last + 1)))
        with recorded(model, [block.down.name for block in blocks]) as recording:
            if edits:
                openings = sampled(model, tokenizer, self.search.openings, 6, self.seed) if self.search.openings else []
                moments = second_moments(model, blocks, texts_of(model, tokenizer, self.texts, self.seed))
                top = blocks[-1]
                (before,) = read_at(model, plain, [states_of(top)])
                added = [added_state(model, tokenizer, edit, top, openings, self.search) for edit in edits]
                wanted = before + torch.stack(added)
                for i, (block, moment) in enumerate(zip(blocks, moments, strict=True)):
                    (now,) = read_at(model, plain, [states_of(top)])
                    missing = (wanted - now).T / (len(blocks) - i)  # R (D, facts)
                    rows = self._rows(_mean_keys(model, tokenizer, edits, openings, block, self.search.where), moment)
                    add_product(recording, block.down, missing, rows.to(missing.device))
        return recording.change

    def _rows(self, keys: Tensor, moment: Tensor) -> Tensor:
        """Return K^T (weight C + K K^T)^-1, or that in the null space (facts, N), of keys (facts, N)."""
        if self.null is None:
            solved = torch.linalg.solve(self.weight * (moment + self.ridge * _mean(moment)) + keys.T @ keys, keys.T)
        else:
            values, vectors = torch.linalg.eigh(moment)
            free = vectors[:, values < self.null * values[-1]]
            space = free @ free.T
            solved = torch.linalg.solve(
                space @ keys.T @ keys + torch.eye(len(space), dtype=space.dtype), space @ keys.T
            )
        return solved.T


def _mean(moment: Tensor) -> Tensor:
    return moment.diagonal().mean() * torch.eye(len(moment), dtype=moment.dtype)


def _mean_keys(
    model: Any, tokenizer: Any, edits: Sequence[Edit], openings: Sequence[Sequence[int]], block: Block, where: Where
) -> Tensor:
    """Return the keys of facts (facts, N), on average over the openings, in double precision."""
    found = [read_at(model, places(tokenizer, edit, openings, where), [keys_of(block)])[0].mean(0) for edit in edits]
    return torch.stack(found).double().cpu()
