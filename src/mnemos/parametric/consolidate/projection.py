"""Steps orthogonal to what earlier tasks gave a layer to read: what it made of that stays as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning
from mnemos.parametric.consolidate.bounded_steps import BoundedSteps, inputs
from mnemos.registry import Paper, register

Basis = Literal["svd", "hebbian", "recursive"]


@register(
    "orthogonal-projection",
    papers=(
        Paper("Hebbian Learning based Orthogonal Projection for Continual Learning of Spiking Neural Networks", "2402.11984"),
        Paper("IF2Net: Innately Forgetting-Free Networks for Continual Learning", "2306.10480"),
    ),
    task="pixels permuted",
    baselines=("plain",),
)  # fmt: skip
@dataclass
class Projection(BoundedSteps):
    """Takes out of each layer's step what would change its output on the inputs of earlier tasks: dW <- dW (1 - U^T U).

    U (k, in + 1) spans those inputs, the bias being the weight of a constant input. `basis` says how it is found at the end
    of a task: "svd" of what the layer read, as many directions as hold `energy` of it (gradient projection memory, arXiv
    2103.09762); "hebbian" by Oja's rule dH = eta (y x^T - y y^T H), y = H x, on what is left of x, `directions` a task, with
    local products alone (HLOP); "recursive" holds P = (1 + sum_x x x^T / damping)^-1 in the place of 1 - U^T U, one rank-one
    update a sample (IF2Net, after OWM, arXiv 1810.01256). Stores no samples: bytes of U or P. Works for a classifier on
    frozen features without forgetting by construction; with deep layers the earlier ones hold what the later ones read.
    """

    basis: Basis = "svd"  # how the held directions are found
    energy: float = 0.97  # share of the squared length of what a layer read that U holds, of "svd"
    directions: int = 50  # of a task in each layer, of "hebbian"
    rate: float = 0.02  # eta of Oja's rule, for inputs of unit mean square length
    passes: int = 20  # over the samples, of "hebbian"
    damping: float = 1e-3  # of "recursive" (lambda), for inputs of unit mean square length
    samples: int = 300  # of a task, whose inputs are looked at
    held: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # U or P, by layer

    def __post_init__(self) -> None:
        if not 0 < self.energy <= 1 or self.directions < 1 or self.damping <= 0 or self.samples < 1:
            raise InvalidInput(
                "give an energy above 0 up to 1, a damping above 0, and at least 1 direction and sample."
            )
        self.recent = self.samples

    @property
    def bounds(self) -> bool:
        """Tell whether a task has ended."""
        return bool(self.held)

    def bounded(self, layer: str, step: Tensor) -> Tensor:
        """Return the step without what would change earlier outputs."""
        held = self.held[layer]
        return step @ held if self.basis == "recursive" else step - step @ held.T @ held

    def after_task(self, learning: Learning) -> None:
        """Add the directions of this task's inputs."""
        if learning.recent is None or not len(learning.recent):
            return
        for name, (read, _) in inputs(learning, learning.recent.held[0]).items():
            self.held[name] = self._extended(self.held.get(name), read, learning.generator)

    def _extended(self, held: Tensor | None, read: Tensor, generator: torch.Generator) -> Tensor:
        """Return U or P with the directions of inputs (M, in + 1)."""
        if self.basis == "recursive":
            scaled = read / read.square().sum(1).mean().sqrt()
            p = torch.eye(read.shape[1]) if held is None else held
            reach = scaled @ p
            p = p - reach.T @ torch.linalg.solve(self.damping * torch.eye(len(read)) + reach @ scaled.T, reach)
            return (p + p.T) / 2
        held = read.new_zeros(0, read.shape[1]) if held is None else held
        left = read - read @ held.T @ held
        new = top(left, read, self.energy) if self.basis == "svd" else self._oja(left, generator)
        return torch.cat([held, new])

    def _oja(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Return directions (k, in + 1) of inputs (M, in + 1), learned by Oja's subspace rule."""
        x = left / left.square().sum(1).mean().sqrt()
        h = torch.randn(min(self.directions, *x.shape), x.shape[1], generator=generator) / x.shape[1] ** 0.5
        for _ in range(self.passes):
            for one in x[torch.randperm(len(x), generator=generator)].split(1):
                y = one @ h.T
                h += self.rate * (y.T @ one - y.T @ y @ h)
        return h

    def tensors(self) -> dict[str, Tensor]:
        """Return the bases."""
        return dict(self.held)

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.held = {name: t.clone() for name, t in tensors.items()}


def top(left: Tensor, whole: Tensor, energy: float) -> Tensor:
    """Return the fewest principal directions (k, D) of `left` (M, D) after which `energy` of `whole` is covered."""
    _, sizes, directions = torch.linalg.svd(left, full_matrices=False)
    covered = whole.square().sum() - left.square().sum() + sizes.square().cumsum(0)
    some = sizes > sizes[0].clamp(min=1e-20) * max(left.shape) * torch.finfo(left.dtype).eps
    needed = int((covered < energy * whole.square().sum()).sum()) + 1 if energy < 1 else len(sizes)
    if energy < 1 and left.square().sum() <= (1 - energy) * whole.square().sum():
        needed = 0
    return directions[:needed][some[:needed]]
