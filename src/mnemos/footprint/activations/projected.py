"""Keeping a random projection of what goes into a linear layer: its weight is learned in as many dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnemos.errors import InvalidInput
from mnemos.footprint.wrapper import seed_of
from mnemos.registry import Paper, register


@register(
    "projected",
    papers=(Paper("CompAct: Compressed Activations for Memory-Efficient LLM Training", "2410.15352"),),
    baselines=("in-memory",),
)
@dataclass
class Projected:
    """Keeps X P (N x r) of what goes into a linear layer, P random, drawn again from its seed when it is needed.

    The weight's gradient is taken in r dimensions, where the optimiser has its states, and what it learns is lifted by P^T into
    the weight before the next forward pass. Make the optimiser inside of `attached`, from the parameters that are trained
    there. The gradients of inputs and biases are exact.
    """

    exact: ClassVar[bool] = False
    rank: float = 0.25  # r, as a share of what goes in
    refresh: int = 50  # steps after which P is another one
    scale: float = 1.0  # of what is lifted
    seed: int = 0  # of P
    least: int = 32  # layers with fewer inputs stay as they are

    def __post_init__(self) -> None:
        if not 0 < self.rank <= 1 or self.refresh < 1:
            raise InvalidInput(f"rank is {self.rank}, refresh {self.refresh}: give above 0 to 1, and at least 1 step.")

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return a layer in place of a linear one that is trained."""
        fits = type(module) is nn.Linear and module.weight.requires_grad and module.in_features >= self.least
        return Lifted(module, self, seed_of(name, self.seed)) if fits else None

    def restore(self, module: nn.Module) -> nn.Module:
        """Return the linear layer itself, with what was learned."""
        module.lift()
        module.inner.weight.requires_grad_()
        inner: nn.Module = module.inner
        return inner


class Lifted(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A linear layer whose weight is fixed between two updates, and what is learned beside it, (outputs, r)."""

    def __init__(self, inner: nn.Linear, knobs: Projected, seed: int) -> None:
        super().__init__()
        self.inner, self.knobs, self.seed, self.steps = inner, knobs, seed, 0
        rank = max(1, round(knobs.rank * inner.in_features))
        inner.weight.requires_grad_(False)
        self.learned = nn.Parameter(inner.weight.new_zeros(inner.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer returns."""
        self.lift()
        y: Tensor = _Linear.apply(x, self.inner.weight, self.inner.bias, self.learned, self)
        return y

    def projection(self) -> Tensor:
        """Return P (inputs, r), whose P P^T is the identity on average."""
        inputs, rank = self.inner.in_features, self.learned.shape[1]
        generator = torch.Generator().manual_seed(self.seed + 7919 * (self.steps // self.knobs.refresh))
        return torch.randn(inputs, rank, generator=generator).to(self.learned) / rank**0.5

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def lift(self) -> None:
        """Add what was learned since the last time to the weight."""
        if bool(self.learned.any()):
            self.inner.weight.addmm_(self.learned, self.projection().T, alpha=self.knobs.scale)
            self.learned.zero_()
            self.steps += 1


class _Linear(torch.autograd.Function):  # type: ignore[misc]
    """Keeps X P."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, learned: Tensor, layer: Lifted) -> Tensor:
        ctx.save_for_backward(x.detach().flatten(0, -2) @ layer.projection(), weight)
        ctx.shape = x.shape
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor, None]:
        seen, weight = ctx.saved_tensors
        flat = outer.flatten(0, -2)
        of_x = (flat @ weight).view(ctx.shape) if ctx.needs_input_grad[0] else None
        return of_x, None, flat.sum(0) if ctx.needs_input_grad[2] else None, flat.T @ seen, None
