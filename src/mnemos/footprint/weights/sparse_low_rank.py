"""Weights that are the sum of a low-rank product and a few single numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnemos.errors import InvalidInput
from mnemos.footprint.wrapper import seed_of
from mnemos.registry import Paper, register


@register(
    "sparse-low-rank",
    papers=(
        Paper("SLTrain: a sparse plus low-rank approach for parameter and memory efficient pretraining", "2406.02214",
              "andyjm3/SLTrain"),
    ),
    baselines=("in-memory",),
)  # fmt: skip
@dataclass
class SparseLowRank:
    """Trains W = alpha / r B A + S from scratch in place of each linear weight; S has numbers at places that never change.

    Weights, gradients and states of the optimiser are those of A, B and the numbers. The dense weight is made in the forward
    pass and again in the backward pass, and not kept. Make the optimiser inside of `attached`; afterwards the layers have the
    dense weight.
    """

    exact: ClassVar[bool] = False
    rank: int = 16  # r
    density: float = 0.03  # share of the weight's numbers that S has; 0: low rank alone
    alpha: float = 16.0  # B A is multiplied by alpha / r
    support: Literal["random", "largest"] = (
        "random"  # where S has numbers; "largest": where the given weight has its largest ones
    )
    least: int = 32  # layers with fewer inputs or outputs stay as they are
    seed: int = 0  # of the places and the first values

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 <= self.density < 1:
            raise InvalidInput(f"rank is {self.rank}, density {self.density}: give at least 1, and 0 to less than 1.")

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return a layer in place of a linear one that is trained and large enough."""
        fits = type(module) is nn.Linear and module.weight.requires_grad and min(module.weight.shape) >= self.least
        return Sum(module, self, seed_of(name, self.seed)) if fits else None

    def restore(self, module: nn.Module) -> nn.Module:
        """Return the linear layer with the weight that was learned."""
        inner: nn.Module = module.inner
        with torch.no_grad():
            inner.weight.data = module.weight()
        return inner


class Sum(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A linear layer of A (r, inputs), B (outputs, r) and values at places of the flat weight."""

    def __init__(self, inner: nn.Linear, knobs: SparseLowRank, seed: int) -> None:
        super().__init__()
        outputs, inputs = inner.weight.shape
        generator = torch.Generator().manual_seed(seed)
        count = round(knobs.density * outputs * inputs)
        order = (
            inner.weight.detach().abs().flatten()
            if knobs.support == "largest"
            else torch.rand(outputs * inputs, generator=generator)
        )
        bound = 1 / math.sqrt(inputs)
        self.inner, self.scale, self.shape = inner, knobs.alpha / knobs.rank, (outputs, inputs)
        self.a = nn.Parameter(
            (2 * torch.rand(knobs.rank, inputs, generator=generator) - 1).to(inner.weight) * bound * math.sqrt(3)
        )
        self.b = nn.Parameter(inner.weight.new_zeros(outputs, knobs.rank))
        self.values = nn.Parameter((2 * torch.rand(count, generator=generator) - 1).to(inner.weight) * bound)
        self.register_buffer("places", order.topk(count).indices.sort().values)
        inner.weight.data = inner.weight.new_empty(0)  # nothing is held of it

    def weight(self) -> Tensor:
        """Return the dense weight."""
        return dense(self.a, self.b, self.values, self.places, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return what a layer of the dense weight returns."""
        y: Tensor = _Linear.apply(x, self.a, self.b, self.values, self.places, self.scale)
        return y if self.inner.bias is None else y + self.inner.bias


def dense(a: Tensor, b: Tensor, values: Tensor, places: Tensor, scale: float) -> Tensor:
    """Return scale B A + S."""
    weight = (b @ a).mul_(scale)
    weight.view(-1).index_add_(0, places, values)
    return weight


class _Linear(torch.autograd.Function):  # type: ignore[misc]
    """Makes the dense weight twice, and keeps it never."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, values: Tensor, places: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x, a, b, values, places)
        ctx.scale = scale
        return x @ dense(a, b, values, places, scale).T

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, None, None]:
        x, a, b, values, places = ctx.saved_tensors
        flat = outer.flatten(0, -2)
        of_x = outer @ dense(a, b, values, places, ctx.scale) if ctx.needs_input_grad[0] else None
        slope = flat.T @ x.flatten(0, -2)
        return of_x, ctx.scale * (b.T @ slope), ctx.scale * (slope @ a.T), slope.flatten()[places], None, None
