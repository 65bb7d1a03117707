"""Steps back toward where the weights were: gradients of different batches come to point the same way."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "reptile",
    papers=(
        Paper(
            "Revisiting Replay and Gradient Alignment for Continual Pre-Training of Large Language Models", "2508.01908"
        ),
        Paper("On First-Order Meta-Learning Algorithms", "1803.02999"),
    ),
    task="tasks in sequence",
    baselines=("plain", "replay"),
)
@dataclass
class Reptile(Strategy):
    """After every `every` steps, w <- w_old + rate (w - w_old), w_old the weights after the last such move.

    To first order it raises the inner product of the gradients of the steps between; with `Replay` before it, of old and new
    samples (meta-experience replay). Costs a copy of the weights, and no pass.
    """

    every: int = 10  # steps (k)
    rate: float = 0.5  # epsilon: 1 changes nothing
    steps: int = field(init=False, repr=False, default=0)  # since the last move
    before: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 < self.rate <= 1:
            raise InvalidInput(f"every is {self.every} and rate {self.rate}: give at least 1 step, a rate up to 1.")

    def loss(self, learning: Learning, step: Step) -> None:
        """Remember the weights before the first step."""
        if not self.before:
            self.before = {name: w.detach().clone() for name, w in learning.weights().items()}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Move back, if it is time."""
        self.steps += 1
        if self.steps < self.every:
            return
        self.steps = 0
        for name, w in learning.weights().items():
            old = self.before.get(name)
            if old is not None and old.shape == w.shape:  # else the model has grown
                w.copy_(old.lerp(w, self.rate))
            self.before[name] = w.detach().clone()

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights that are moved towards."""
        held = {f"before.{name}": t for name, t in self.before.items()}
        return held | {"steps": torch.tensor(self.steps)} if held else {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.steps = int(tensors["steps"]) if tensors else 0
        self.before = {n.removeprefix("before."): t.clone() for n, t in tensors.items() if n != "steps"}
