"""Keeping the rows that the gradient of a linear weight is mostly made of, and a draw of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnemos.errors import InvalidInput
from mnemos.footprint.wrapper import Wrapper, Wraps
from mnemos.registry import Paper, register

How = Literal["winners", "drawn", "uniform"]


@register(
    "sampled",
    papers=(
        Paper("Winner-Take-All Column Row Sampling for Memory Efficient Adaptation of Language Model", "2305.15265",
              "zirui-ray-liu/WTACRS"),
    ),
    baselines=("in-memory",),
)  # fmt: skip
@dataclass
class Sampled(Wraps):
    """Estimates the gradient of each trained linear weight, dW = dY^T X, from a share of the rows of X: no others are kept.

    A row counts by p ~ |x| |dy|. The likeliest rows are kept as they are, the rest is drawn and weighs 1 / p: right on average,
    with the least variance over how many are sure. |dy| is not known yet: it is what the row's example had when it was last seen
    (`of`), or 1. The gradients of inputs and biases are exact.
    """

    exact: ClassVar[bool] = False
    share: float = 0.3  # of the rows that are kept
    how: How = "winners"  # the likeliest are sure; "drawn": none is; "uniform": and all are as likely
    seed: int = 0  # of the draws

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.how not in get_args(How):
            raise InvalidInput(
                f"share is {self.share}, how {self.how!r}: give above 0 to 1, and one of {get_args(How)}."
            )
        self._generator = torch.Generator().manual_seed(self.seed)
        self._norms: dict[tuple[str, int], float] = {}  # by layer and example
        self._examples: list[int] | None = None

    @contextmanager
    def of(self, examples: list[int]) -> Iterator[None]:
        """Say which examples the rows of a batch are, so that what is known of their gradients is used."""
        self._examples = examples
        try:
            yield
        finally:
            self._examples = None

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return a layer of the same weights in place of a linear one that is trained."""
        fits = type(module) is nn.Linear and module.weight.requires_grad
        return Rows(module, name, self) if fits else None

    def known(self, name: str, rows: int) -> tuple[Tensor, list[int] | None]:
        """Return the norms of gradients that the rows had, and their examples."""
        if self._examples is None or rows % len(self._examples):
            return torch.ones(rows), None
        norms = torch.tensor([self._norms.get((name, example), 1.0) for example in self._examples])
        return norms.repeat_interleave(rows // len(norms)), self._examples

    def learn(self, name: str, examples: list[int] | None, outer: Tensor) -> None:
        """Note the mean norm of the gradients of each example's rows."""
        if examples is not None:
            norms = outer.norm(dim=1).view(len(examples), -1).mean(1).tolist()
            self._norms.update({(name, example): norm for example, norm in zip(examples, norms, strict=True)})

    def draw(self, chances: Tensor) -> tuple[Tensor, Tensor]:
        """Return which rows are kept and what each weighs, for chances that sum to 1."""
        count = max(1, round(self.share * len(chances)))
        if count >= len(chances):
            return torch.arange(len(chances)), torch.ones(len(chances))
        if self.how == "uniform":
            chances = torch.full_like(chances, 1 / len(chances))
        order = chances.argsort(descending=True)
        sorted_chances = chances[order].double()
        left = 1 - torch.cat([torch.zeros(1, dtype=torch.double), sorted_chances.cumsum(0)[: count - 1]])
        sure = 0  # how many are kept for certain: the fewer draws are left, the less must be left for them
        if self.how == "winners":
            sure = int((left.clamp(min=0) / (count - torch.arange(count))).argmin())
        rest, mass = order[sure:], max(float(left[sure]), 1e-12)
        drawn = torch.multinomial(sorted_chances[sure:].clamp(min=1e-20), count - sure, True, generator=self._generator)
        weights = mass / ((count - sure) * sorted_chances[sure:][drawn].clamp(min=1e-20))
        return torch.cat([order[:sure], rest[drawn]]), torch.cat([torch.ones(sure), weights.float()])


class Rows(Wrapper):
    """A linear layer that keeps some of its rows."""

    def __init__(self, inner: nn.Linear, name: str, by: Sampled) -> None:
        super().__init__(inner)
        self.name = name
        object.__setattr__(self, "by", by)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer returns."""
        y: Tensor = _Linear.apply(x, self.inner.weight, self.inner.bias, self.name, self.by)
        return y


class _Linear(torch.autograd.Function):  # type: ignore[misc]
    """Keeps rows of X, weighed, and where they were."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, name: str, by: Sampled) -> Tensor:
        rows = x.detach().flatten(0, -2)
        norms, ctx.examples = by.known(name, len(rows))
        chances = rows.norm(dim=1) * norms.to(rows.device) + 1e-12
        which, weights = by.draw((chances / chances.sum()).cpu())
        ctx.name, ctx.by, ctx.shape = name, by, x.shape
        which = which.to(x.device)
        ctx.save_for_backward(rows[which] * weights.to(rows)[:, None], which, weight)
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        rows, which, weight = ctx.saved_tensors
        flat = outer.flatten(0, -2)
        ctx.by.learn(ctx.name, ctx.examples, flat)
        of_x = (flat @ weight).view(ctx.shape) if ctx.needs_input_grad[0] else None
        of_weight = flat[which].T @ rows if ctx.needs_input_grad[1] else None
        return of_x, of_weight, flat.sum(0) if ctx.needs_input_grad[2] else None, None, None
