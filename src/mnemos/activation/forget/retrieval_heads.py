"""Retrieval heads: found by what they copy, and given the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.probe import attention_probe
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


def retrieval_scores(model: Any, context: Tensor, question: Tensor, answer: Tensor, needle: Tensor) -> Tensor:
    """Return the share of an answer's tokens that each head copies from the needle, (L, H, G) from 0 to 1.

    A head copies a token when the entry that it attends to most, as the token is generated, is that token in the
    needle. `context` (B, T) and `question` (B, q) are ids, `answer` (B, a) the right ones, `needle` (B, a) the
    positions at which they stand in the context.
    """
    if needle.shape != answer.shape:
        raise InvalidInput(
            f"needle has shape {tuple(needle.shape)} and answer {tuple(answer.shape)}: give a position for each token."
        )
    scores = []
    for view in attention_probe(model, context, torch.cat((question, answer[:, :-1]), 1)):
        best = view.weights(last=answer.shape[1]).argmax(-1)  # (B, H, G, a)
        positions = view.entries.positions()[:, :, None].expand(*best.shape[:3], -1).gather(3, best)
        scores.append((positions == needle[:, None, None]).float().mean((0, 3)))
    return torch.stack(scores)


@register(
    "retrieval-heads",
    papers=(
        Paper(
            "Retrieval Head Mechanistically Explains Long-Context Factuality",
            "2404.15574",
            code="nightdessert/Retrieval_Head",
        ),
    ),
)
@dataclass(frozen=True)
class RetrievalHeads:
    """Lets heads that retrieve hold the prompt, as far as the budget allows; the others hold `least` entries.

    A group of query heads counts by its best one. The budget above `least` is shared by score. Raises InvalidInput for
    a model with another number of layers.
    """

    scores: Tensor  # (L, H) or (L, H, G) of `retrieval_scores`, found once for a model on texts of one's own
    threshold: float = 0.1  # heads at or below it do not retrieve; the paper's 0.1
    least: int = 4  # entries that every head keeps

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return the scores of a layer's heads, (H,)."""
        if len(self.scores) != view.layers:
            raise InvalidInput(
                f"scores has {len(self.scores)} layers and the model {view.layers}: compute the scores of this model."
            )
        each = self.scores[view.layer]
        each = each.amax(-1) if each.dim() > 1 else each
        return torch.where(each > self.threshold, each, 0.0)

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each head, (H,), for each layer."""
        together = torch.stack(list(needs))
        return list(allocate(together, each * together.numel(), min(self.least, each), held).unbind(0))
