"""How the small models of the laws are trained: AdamW at a rate that warms up and then stays, step by step.

The rate stays, so that a text that is met late weighs as much as one that is met early.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.laws.language import prose, rows, take
from mnemos.bench.parametric.small_models import Shape, loss_of, make_model

WARM_UP = 20  # steps


class Trainer:
    """A model with its optimiser."""

    def __init__(self, model: Any, rate: float = 3e-3) -> None:
        self.model, self.rate, self.steps = model, rate, 0
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)

    def step(self, ids: Tensor) -> float:
        """Train on rows of tokens; return their loss before."""
        self.steps += 1
        self.optimizer.param_groups[0]["lr"] = self.rate * min(1.0, self.steps / WARM_UP)
        loss = loss_of(self.model, ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def run(self, batches: Iterable[Tensor]) -> None:
        """Train on batches."""
        for ids in batches:
            self.step(ids)


def decoder(width: int, seed: int, layers: int = 2) -> Any:
    """Return an untrained model of the language, which the seed makes the same."""
    return make_model(Shape(width, 2 * width, layers, 2), seed).eval()


def size(model: Any) -> int:
    """Return the number of a model's parameters; tied ones count once."""
    return sum(p.numel() for p in model.parameters())


def reader(width: int, seed: int, steps: int, batch: int = 32) -> Trainer:
    """Return a model that has read `steps` batches of prose, no text twice."""
    trainer = Trainer(decoder(width, seed))
    texts = prose(f"reader {seed}")
    trainer.run(rows(take(texts, batch)) for _ in range(steps))
    return trainer
