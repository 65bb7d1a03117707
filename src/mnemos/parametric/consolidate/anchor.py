"""Weights stay near what they were, the more so the more they mattered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.importance import Fisher, fisher, sensitivity
from mnemos.registry import Paper, register

Anchored = tuple[dict[str, Tensor], dict[str, Tensor]]  # weights and importances, by name
Importance = Literal["fisher", "sensitivity", "path", "equal"]


@register(
    "anchor",
    papers=(
        Paper("Overcoming catastrophic forgetting in neural networks", "1612.00796"),
        Paper("Continual Learning in Neural Networks", "1910.02718"),
        Paper("A Closer Look at Rehearsal-Free Continual Learning", "2203.17269"),
    ),
    task="tasks in sequence",
    baselines=("plain",),
)
@dataclass
class Anchor(Strategy):
    """Adds strength / 2 * sum_i importance_i (w_i - w_i*)^2, w* the weights at the end of the task before.

    `importance` is "fisher" (EWC), "sensitivity" (MAS, arXiv 1711.09601: needs no labels), "path" (SI, arXiv 1703.04200: the
    share of a weight in the fall of the loss along its way, over its squared way plus `damping`) or "equal" (plain L2 to the
    anchor). After
    a task the importances are decay * old + new, so one anchor is held however many tasks there were (online EWC); with
    `each_task` every task keeps its own. Costs two tensors a weight, times tasks with `each_task`.
    """

    strength: float = 1.0  # of the penalty (lambda)
    importance: Importance = "fisher"  # what says how much a weight mattered
    fisher: Fisher = "exact"  # how it is estimated
    samples: int = 1024  # of the task, of which importance is estimated at its end
    decay: float = 1.0  # share of earlier importance that stays (gamma)
    each_task: bool = False  # one anchor a task, as in EWC's paper
    damping: float = 0.1  # of "path" (xi)
    only: str = ""  # hold the weights alone whose names contain this, such as "attn"
    anchors: list[Anchored] = field(init=False, repr=False, default_factory=list)  # of tasks
    way: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # shares in the fall of the loss
    before: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # weights before this step
    begin: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # weights at the start of the task

    needs_tasks: ClassVar[bool] = True
    only_holds_weights: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.strength < 0 or self.samples < 1 or not 0 <= self.decay <= 1:
            raise InvalidInput("give a strength of at least 0, at least 1 sample, and a decay from 0 to 1.")
        self.recent = self.samples if self.importance in ("fisher", "sensitivity") else 0

    def before_task(self, learning: Learning) -> None:
        """Begin to follow the way of the weights."""
        if self.importance == "path":
            self.begin = self._copy(learning)
            self.way = {name: torch.zeros_like(w) for name, w in self.begin.items()}

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the penalty; None in the first task."""
        if not self.anchors:
            return None
        weights = learning.weights()
        parts = [
            (importance[name] * (weights[name] - value).square()).sum()
            for values, importance in self.anchors
            for name, value in values.items()
        ]
        return self.strength / 2 * torch.stack(parts).sum()

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Remember the weights before the step."""
        if self.importance == "path":
            self.before = self._copy(learning)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Add the step to the way."""
        if self.importance == "path":
            for name, w in self._held(learning).items():
                if w.grad is not None:
                    self.way[name] -= w.grad * (w.detach() - self.before[name])

    def after_task(self, learning: Learning) -> None:
        """Anchor the weights where they are."""
        new, now = self._importance(learning), self._copy(learning)
        if self.anchors and not self.each_task:
            new = {name: self.decay * self.anchors[0][1][name] + value for name, value in new.items()}
            self.anchors = []
        self.anchors.append((now, new))

    def _importance(self, learning: Learning) -> dict[str, Tensor]:
        held = self._held(learning)
        if self.importance == "equal":
            return {name: torch.ones_like(w) for name, w in held.items()}
        if self.importance == "path":
            moved = {name: (w.detach() - self.begin[name]).square() + self.damping for name, w in held.items()}
            return {name: self.way[name].clamp(min=0) / moved[name] for name in held}
        if learning.recent is None or not len(learning.recent):
            return {name: torch.zeros_like(w) for name, w in held.items()}
        batch = Batch(*learning.recent.held)
        found = fisher(learning, batch, self.fisher) if self.importance == "fisher" else sensitivity(learning, batch.x)
        return {name: found[name] for name in held}

    def _held(self, learning: Learning) -> dict[str, torch.nn.Parameter]:
        return {name: w for name, w in learning.weights().items() if self.only in name}

    def _copy(self, learning: Learning) -> dict[str, Tensor]:
        return {name: w.detach().clone() for name, w in self._held(learning).items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return anchors and importances, and the way so far."""
        found = {f"way.{name}": t for name, t in self.way.items()} | {
            f"begin.{name}": t for name, t in self.begin.items()
        }
        for number, (values, importance) in enumerate(self.anchors):
            found |= {f"{number}.value.{name}": t for name, t in values.items()}
            found |= {f"{number}.importance.{name}": t for name, t in importance.items()}
        return found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.way, self.begin, self.anchors = {}, {}, []
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind in ("way", "begin"):
                getattr(self, kind)[rest] = tensor.clone()
                continue
            while len(self.anchors) <= int(kind):
                self.anchors.append(({}, {}))
            part, _, weight = rest.partition(".")
            self.anchors[int(kind)][part == "importance"][weight] = tensor.clone()
