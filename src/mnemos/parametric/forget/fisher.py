"""How much each weight matters to what a model says: the mean squared gradient of the loss (the diagonal of Fisher)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import answer_loss, batches, differentiable, encode
from mnemos.parametric.base import Example
from mnemos.parametric.gradients import add_powers


def importances(model: Any, tokenizer: Any, examples: Sequence[Example], batch: int = 1) -> dict[str, Tensor]:
    """Return E[g^2] of each weight over examples, g the gradient of the loss of an answer.

    With `batch` above 1, g is the gradient of the mean loss of a batch: faster, and not the Fisher information, since
    gradients of different signs cancel before they are squared. Costs a forward and a backward pass a batch. Raises
    InvalidInput without examples.
    """
    if not examples:
        raise InvalidInput("there are no examples to tell which weights matter: give at least one.")
    coded = [encode(tokenizer, example) for example in examples]
    names = [name for name, _ in model.named_parameters()]
    with differentiable(model, names) as weights:
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for part in batches(coded, batch):
            add_powers(total, answer_loss(model, part).mean(), weights, 2, len(part) / len(coded))
    return total
