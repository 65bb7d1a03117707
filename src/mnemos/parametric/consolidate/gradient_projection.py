"""Steps orthogonal to the gradients that decide what the model says of earlier tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "gradient-projection",
    papers=(
        Paper("A Theoretical Analysis of Catastrophic Forgetting through the NTK Overlap Matrix", "2010.04003", "tldoan/PCA-OGD"),
    ),
    task="images turned",
    baselines=("plain",),
)  # fmt: skip
@dataclass
class GradientProjection(Strategy):
    """Takes out of each gradient its part along gradients of earlier tasks' logits: g <- g - B^T B g (OGD; PCA-OGD).

    After a task, the gradients d logit_y(x) / dw of `samples` of it are looked at, and `directions` are added to B: the first
    samples' own, made orthonormal ("samples": OGD, arXiv 1910.07104), or the principal ones of all ("principal": PCA-OGD).
    Costs directions * weights numbers a task. To first order in the step, what is held of earlier tasks does not move.
    """

    basis: Literal["principal", "samples"] = "principal"  # which directions are held
    directions: int = 50  # added a task (d)
    samples: int = 200  # of a task whose gradients are looked at
    held: Tensor | None = field(init=False, repr=False, default=None)  # B (k, weights), orthonormal rows

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "projection of gradients"

    def __post_init__(self) -> None:
        if not 1 <= self.directions <= self.samples:
            raise InvalidInput(f"{self.directions} directions of {self.samples} samples: give from 1 to as many.")
        self.recent = self.samples

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Project the gradient."""
        if self.held is None:
            return
        weights = list(learning.weights().values())
        whole = torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights])
        whole -= self.held.T @ (self.held @ whole)
        for w, part in zip(weights, whole.split([w.numel() for w in weights]), strict=True):
            w.grad = part.view_as(w)

    def after_task(self, learning: Learning) -> None:
        """Add directions of this task."""
        if learning.recent is None or not len(learning.recent):
            return
        found = logit_gradients(learning, Batch(*learning.recent.held))
        held = found.new_zeros(0, found.shape[1]) if self.held is None else self.held
        if self.basis == "samples":
            found = found[: self.directions]
        for _ in range(2):  # once more, for what rounding left
            found = found - found @ held.T @ held
        self.held = torch.cat([held, principal(found, self.directions)])

    def tensors(self) -> dict[str, Tensor]:
        """Return the directions."""
        return {} if self.held is None else {"held": self.held}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.held = tensors["held"].clone() if tensors else None


def logit_gradients(learning: Learning, batch: Batch) -> Tensor:
    """Return the gradient of each sample's own logit, (N, weights), with respect to all that is trained."""
    weights, was = list(learning.weights().values()), learning.model.training
    learning.model.eval()
    own = learning.model(batch.x).gather(1, batch.y[:, None])[:, 0]
    rows = [
        torch.cat([
            (torch.zeros_like(w) if g is None else g).flatten()
            for w, g in zip(weights, torch.autograd.grad(one, weights, retain_graph=True, allow_unused=True), strict=True)
        ])
        for one in own
    ]  # fmt: skip
    learning.model.train(was)
    return torch.stack(rows)


def principal(rows: Tensor, count: int) -> Tensor:
    """Return the first principal directions (at most `count`, D) of rows (N, D), N far below D; orthonormal."""
    values, vectors = torch.linalg.eigh((rows @ rows.T).double())
    some = values.flip(0) > values[-1].clamp(min=1e-30) * 1e-9
    best = vectors.flip(1)[:, :count][:, some[:count]]
    found = (best.T @ rows.double()) / values.flip(0)[:count][some[:count]].sqrt()[:, None]
    return torch.linalg.qr(found.T)[0].T.to(rows.dtype)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Return the cosines of the principal angles between the spaces that two sets of rows (N, D), (M, D) span, largest first.

    Of two tasks' gradients it is the NTK overlap, which bounds how much learning one changes the other. Raises InvalidInput
    for sets without rows.
    """
    if not len(one) or not len(other):
        raise InvalidInput("give at least one row of each set.")
    return torch.linalg.svdvals(principal(one, len(one)) @ principal(other, len(other)).T)
