"""The strongest directions of every weight matrix are left alone; the others learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning
from mnemos.parametric.consolidate.bounded_steps import BoundedSteps, inputs, layers
from mnemos.registry import Paper, register


@register(
    "orthogonal-subspace-fine-tuning",
    papers=(
        Paper(
            "Sculpting Subspaces: Constrained Full Fine-Tuning in LLMs for Continual Learning", "2504.07097",
            "Red-Hat-AI-Innovation-Team/orthogonal-subspace-learning",
        ),
    ),
    task="images turned",
    baselines=("plain",),
)  # fmt: skip
@dataclass
class SingularSubspaces(BoundedSteps):
    """Before each task but the first, freezes the top singular directions of every weight W = U S V^T; the rest is trained.

    dW <- (1 - U_h U_h^T) dW (1 - V_h V_h^T), so that U_h^T dW = 0 and dW V_h = 0: what the paper reaches by training U_low, S_low
    and V_low with projected gradients, here on the matrix itself. A layer keeps the share least + I (most - least) of its
    directions, I the mean cosine of what it reads and what it makes, over the mean of all layers' (at most `most`); I is 1
    where the two have different widths. Nothing is stored beside the directions, no samples and no gradients; they are found
    again by one SVD a matrix and task. Biases are not held.
    """

    least: float = 0.1  # share of directions that is kept of the least important layer (mrr)
    most: float = 0.8  # and of the most important (trr)
    adaptive: bool = True  # shares by importance; else every layer keeps (least + most) / 2
    samples: int = 128  # of a task, by which importance is taken
    held: dict[str, tuple[Tensor, Tensor]] = field(init=False, repr=False, default_factory=dict)  # U_h, V_h by layer
    importance: dict[str, float] = field(init=False, repr=False, default_factory=dict)  # I by layer

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 1:
            raise InvalidInput(f"least is {self.least} and most {self.most}: give shares from 0 to 1, the least first.")
        self.recent = self.samples if self.adaptive else 0

    @property
    def bounds(self) -> bool:
        """Tell whether this is not the first task."""
        return bool(self.held)

    def before_task(self, learning: Learning) -> None:
        """Freeze the top directions as the weights are now."""
        if learning.tasks < 2:
            return
        for name, layer in layers(learning).items():
            u, sizes, v = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
            count = round(self.share(name) * len(sizes))
            self.held[name] = (u[:, :count].contiguous(), v[:count].T.contiguous())

    def share(self, layer: str) -> float:
        """Return the share of a layer's directions that is kept."""
        if not self.adaptive:
            return (self.least + self.most) / 2
        return min(self.most, self.least + self.importance.get(layer, 1.0) * (self.most - self.least))

    def bounded(self, layer: str, step: Tensor) -> Tensor:
        """Return the step without what would touch the directions that are kept."""
        u, v = self.held[layer]
        weight, bias = step[:, : len(v)], step[:, len(v) :]
        weight = weight - u @ (u.T @ weight)
        return torch.cat([weight - (weight @ v) @ v.T, bias], 1)

    def after_task(self, learning: Learning) -> None:
        """Take the importance of layers."""
        if not self.adaptive or learning.recent is None or not len(learning.recent):
            return
        alike = {}
        for name, (read, made) in inputs(learning, learning.recent.held[0]).items():
            read = read[:, : layers(learning)[name].weight.shape[1]]
            if read.shape == made.shape:
                alike[name] = float(F.cosine_similarity(read, made).mean().clamp(min=0))
        mean = fmean(alike.values()) if alike else 0.0
        self.importance = {name: value / mean if mean else 1.0 for name, value in alike.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return directions and importances."""
        found = {
            f"importance.{name}": torch.tensor(value, dtype=torch.float64) for name, value in self.importance.items()
        }
        for name, (u, v) in self.held.items():
            found |= {f"left.{name}": u, f"right.{name}": v}
        return found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        parts: dict[str, dict[str, Tensor]] = {"importance": {}, "left": {}, "right": {}}
        for name, tensor in tensors.items():
            part, _, layer = name.partition(".")
            parts[part][layer] = tensor.clone()
        self.importance = {name: float(value) for name, value in parts["importance"].items()}
        self.held = {name: (u, parts["right"][name]) for name, u in parts["left"].items()}
