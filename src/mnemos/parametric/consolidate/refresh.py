"""Unlearn a little, then learn: a step up the loss before the step down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "refresh",
    papers=(Paper("A Unified and General Framework for Continual Learning", "2403.13249", "joey-wang123/CL-refresh-learning"),),
    task="classes in sequence",
    baselines=("replay",),
)  # fmt: skip
@dataclass
class Refresh(Strategy):
    """Before each step goes `rate` * length of the weights up the loss of the new batch, along F^-1 g (refresh learning).

    F is a moving mean of squared gradients of the new batches (the diagonal of the empirical Fisher information, batched). The
    direction is scaled to unit length, as in the paper's code, and noise of `noise` times its length is added. "noise" in place
    of the ascent is the control. Costs `steps` more passes. It stands before the strategies that read the batch.
    """

    rate: float = 1e-4  # gamma, of the weights' length; the paper's code takes 1e-5 of unit length
    steps: int = 1  # J, of unlearning before one of learning
    noise: float = 0.1  # of the ascent's length
    ascent: bool = True  # False: noise of the same length, the control
    decay: float = 0.9  # of F
    squares: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # F, by weight

    def __post_init__(self) -> None:
        if self.rate < 0 or self.steps < 1 or not 0 <= self.decay < 1:
            raise InvalidInput("give a rate of at least 0, at least 1 step, and a decay from 0 to below 1.")

    def loss(self, learning: Learning, step: Step) -> None:
        """Unlearn the new batch; what follows learns it. Raises InvalidInput once the batch was read."""
        step.replace(step.batch)  # refuses where the logits are known: they would be of other weights
        for _ in range(self.steps):
            self.unlearn(learning, step)

    def unlearn(self, learning: Learning, step: Step) -> None:
        """Take one step up the loss."""
        weights = learning.weights()
        cost = learning.cost(learning.model(step.batch.x), step.batch)
        gradients = torch.autograd.grad(cost, list(weights.values()), allow_unused=True)
        away: dict[str, Tensor] = {}
        for (name, w), g in zip(weights.items(), gradients, strict=True):
            if g is None:
                continue
            if name not in self.squares or self.squares[name].shape != w.shape:
                self.squares[name] = g.square()
            else:
                self.squares[name].lerp_(g.square(), 1 - self.decay)
            f = self.squares[name]
            away[name] = g / (f + f.mean() + 1e-12) if self.ascent else drawn(w, learning.generator)
        with torch.no_grad():
            length = self.rate * norm(weights)
            scale = length / max(norm(away), 1e-12)
            shake = {name: drawn(weights[name], learning.generator) for name in away}
            quake = self.noise * length / max(norm(shake), 1e-12)
            for name, direction in away.items():
                weights[name].add_(direction, alpha=scale).add_(shake[name], alpha=quake)

    def tensors(self) -> dict[str, Tensor]:
        """Return F."""
        return dict(self.squares)

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.squares = {name: t.clone() for name, t in tensors.items()}


def norm(tensors: dict[str, Tensor] | dict[str, torch.nn.Parameter]) -> float:
    """Return the length of all tensors as one vector."""
    return math.sqrt(sum(float(t.detach().square().sum()) for t in tensors.values()))


def drawn(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return a tensor of standard normal numbers."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)
