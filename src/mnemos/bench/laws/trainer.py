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

    def __init__(
        self, model: Any, rate: float = 3e-3, counted: int = 0, decay: float = 0.01, muon: float | None = None
    ) -> None:
        """Train `model`; of each row the last `counted` tokens are learned, all of them where it is 0.

        With a rate for `muon` the matrices of layers are trained by Muon (arXiv 2502.16982): reading is learned sooner.
        """
        self.model, self.rate, self.steps, self.counted = model, rate, 0, counted
        self.trained = [p for p in model.parameters() if p.requires_grad]
        by_muon = [p for name, p in model.named_parameters() if muon and p.ndim == 2 and ".layers." in name]
        rest = [p for p in self.trained if all(p is not other for other in by_muon)]
        self.optimizer = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=decay)
        self.optimizers: list[tuple[Any, float]] = [(self.optimizer, 1.0)]
        if muon:
            self.optimizers.append((torch.optim.Muon(by_muon, lr=muon, weight_decay=0.0), muon / rate))

    def step(self, ids: Tensor) -> float:
        """Train on rows of tokens; return their loss before."""
        self.steps += 1
        loss = loss_of(self.model, ids, self.counted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        for optimizer, times in self.optimizers:
            optimizer.param_groups[0]["lr"] = times * self.rate * min(1.0, self.steps / WARM_UP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def run(self, batches: Iterable[Tensor]) -> None:
        """Train on batches."""
        for ids in batches:
            self.step(ids)


class Attached(torch.nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A model whose only trained weights are those of an adapter that is attached."""

    def __init__(self, model: Any, learned: Any) -> None:
        super().__init__()
        self.learned = learned
        object.__setattr__(self, "model", model)

    def forward(self, ids: Any, use_cache: bool = False) -> Any:
        """Return what the model returns."""
        return self.model(ids, use_cache=use_cache)


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
