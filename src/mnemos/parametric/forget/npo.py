"""Negative preference optimisation: what is to be forgotten is an answer that is not preferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.parametric.answers import Encoded, batches, token_losses
from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change
from mnemos.parametric.forget.descent import descend, encode_all
from mnemos.registry import Paper, register


@register(
    "npo",
    papers=(
        Paper("Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning", "2404.05868"),
        Paper(
            "Simplicity Prevails: Rethinking Negative Preference Optimization for LLM Unlearning",
            "2410.07163",
            "OPTML-Group/Unlearn-Simple",
        ),
    ),
    task="unlearning",
    baselines=("gradient-ascent",),
)
@dataclass(frozen=True)
class Npo:
    """Trains on -2/beta log sigmoid(-beta log(p / p_before)): ascent that weakens as an answer becomes less probable.

    p_before is the model as it was. With `simple` (SimNPO) it is not asked: the log-probability is divided by the length of
    the answer instead, and `margin` is taken off. Costs a training step of a small batch, `steps` times at most.
    """

    beta: float = 0.1  # how soon it weakens; SimNPO uses 2.5
    simple: bool = False  # without the model as it was (SimNPO)
    margin: float = 0.0  # of SimNPO
    steps: int = 100  # at most
    rate: float = 1e-4  # of Adam
    batch: int = 8  # examples of a step, to forget and as many to keep
    retain: float = 1.0  # weight of the loss of what is to be kept
    stop: float = 0.1  # share of the forgotten answers' tokens said greedily at which it stops
    seed: int = 0  # of the order of examples

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Change:
        """Change the model's weights in place; see `Unlearner`."""
        coded = encode_all(tokenizer, forget)
        with torch.no_grad():
            before = torch.cat([self._likely(model, part) for part in batches(coded, 64)]) if coded else None

        def loss(now: Any, batch: Sequence[Encoded], numbers: Sequence[int]) -> Tensor:
            than = self._likely(now, batch)
            gap = than + self.margin if self.simple or before is None else than - before[list(numbers)]
            return -2 / self.beta * functional.logsigmoid(-self.beta * gap).mean()

        return descend(model, coded, encode_all(tokenizer, keep), loss, self)

    def _likely(self, model: Any, batch: Sequence[Encoded]) -> Tensor:
        """Return the log-probability of each answer (B,); with `simple` a token of it."""
        losses, wanted = token_losses(model, batch)
        return -losses.sum(1) / (wanted.sum(1) if self.simple else 1)
