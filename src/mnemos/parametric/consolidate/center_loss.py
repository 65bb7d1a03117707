"""Features of every class stay near where the first task put them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "center-loss",
    papers=(Paper("Center Loss Regularization for Continual Learning", "2110.11314"),),
    task="images turned",
    baselines=("anchor", "plain"),
)
@dataclass
class CenterLoss(Strategy):
    """Adds strength / 2 * mean |f(x) - c_y|^2, f the features; the centre of a class is fixed at the end of its first task.

    For the same classes in domains that come one after the other: what is new lands on the old centres, which the classifier
    already tells apart. Within a class's first task its centre follows the features, c <- c - rate * (c - mean of the batch's
    features of the class). Stores one vector a class.
    """

    strength: float = 0.01  # of the pull to the centres (lambda)
    rate: float = 0.5  # of centres, within the first task of a class (alpha)
    held: bool = True  # hold the classifier fixed after the first task, with its boundaries
    centres: Tensor | None = field(init=False, repr=False, default=None)  # (classes, D); nan where there is none
    fixed: list[int] = field(init=False, repr=False, default_factory=list)  # classes whose centres are fixed
    before: list[Tensor] = field(init=False, repr=False, default_factory=list)  # the classifier before this step

    needs_tasks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.strength < 0 or not 0 < self.rate <= 1:
            raise InvalidInput("give a strength of at least 0, and a rate above 0 up to 1.")

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the distance to the centres."""
        features, y = step.features(), step.batch.y
        self._follow(features.detach(), y, step.logits().shape[1])
        assert self.centres is not None  # made by what was called
        return self.strength / 2 * (features - self.centres[y]).square().sum(-1).mean()

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Remember the classifier."""
        if self.held and self.fixed and learning.classifier is not None:
            self.before = [w.detach().clone() for w in learning.classifier.parameters()]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Put the classifier back, the rows of classes that are fixed."""
        if not (self.held and self.fixed and learning.classifier is not None):
            return
        for w, before in zip(learning.classifier.parameters(), self.before, strict=True):
            w[self.fixed] = before[self.fixed]

    def after_task(self, learning: Learning) -> None:
        """Fix the centres of all classes met by now."""
        if self.centres is not None:
            self.fixed = (~self.centres[:, 0].isnan()).nonzero().flatten().tolist()

    def _follow(self, features: Tensor, y: Tensor, classes: int) -> None:
        if self.centres is None:
            self.centres = features.new_full((classes, features.shape[1]), float("nan"))
        for c in sorted(set(y.tolist()) - set(self.fixed)):
            mean = features[y == c].mean(0)
            known = not bool(self.centres[c, 0].isnan())
            self.centres[c] = self.centres[c].lerp(mean, self.rate) if known else mean

    def tensors(self) -> dict[str, Tensor]:
        """Return the centres, and which are fixed."""
        if self.centres is None:
            return {}
        return {"centres": self.centres, "fixed": torch.tensor(self.fixed, dtype=torch.long)}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.centres = tensors["centres"].clone() if tensors else None
        self.fixed = tensors["fixed"].tolist() if tensors else []
