"""Gradient ascent on what is to be forgotten, alone or beside descent on what is to be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mnemos.parametric.answers import Encoded, answer_loss
from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change
from mnemos.parametric.forget.descent import descend, encode_all
from mnemos.registry import Paper, register


@register(
    "gradient-ascent",
    papers=(
        Paper("Knowledge Unlearning for Mitigating Privacy Risks in Language Models", "2210.01504"),
        Paper("Continual Learning and Private Unlearning", "2203.12817"),
    ),
    task="unlearning",
)
@dataclass(frozen=True)
class GradientAscent:
    """Trains a model on the negative loss of what it is to forget; with `retain` also on the loss of what it is to keep.

    With retain=1 it is known as gradient difference. The loss that rises has no bound: without `stop` the whole model is
    lost, which is why others are compared with it. Costs a training step of a small batch, `steps` times at most.
    """

    steps: int = 100  # at most
    rate: float = 1e-4  # of Adam
    batch: int = 8  # examples of a step, to forget and as many to keep
    retain: float = 0.0  # weight of the loss of what is to be kept; 1: gradient difference
    stop: float = 0.1  # share of the forgotten answers' tokens said greedily at which it stops
    seed: int = 0  # of the order of examples

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Change:
        """Change the model's weights in place; see `Unlearner`."""
        return descend(model, encode_all(tokenizer, forget), encode_all(tokenizer, keep), _ascent, self)


def _ascent(model: Any, batch: Sequence[Encoded], numbers: Sequence[int]) -> Tensor:
    return -answer_loss(model, batch).mean()
