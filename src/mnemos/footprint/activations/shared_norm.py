"""Norms that keep what comes out of them, which the next layer keeps as well, in place of what goes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnemos.footprint.wrapper import Wrapper, Wraps
from mnemos.registry import Paper, register

LEAST = 0.05  # of the gains, in size, that can be undone without loss of digits


@register(
    "shared-norm",
    papers=(
        Paper("Reducing Fine-Tuning Memory Overhead by Approximate and Memory-Sharing Backpropagation", "2406.16282",
              "yyyyychen/LowMemoryBP"),
    ),
    baselines=("in-memory",),
)  # fmt: skip
@dataclass
class SharedNorm(Wraps):
    """Lets LayerNorm and RMSNorm keep one tensor together with the layer that follows, in place of two.

    The paper folds gain and bias into that layer, so that both keep the normed numbers; here they stay where they are and are
    undone in the backward pass, which any layer may follow. Gradients are equal up to rounding; a norm with a gain near 0 stays
    as it is.
    """

    exact: ClassVar[bool] = False  # but for rounding

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return a norm of the same parameters for LayerNorm over the last dimension, or RMSNorm, also of transformers."""
        kind, weight = type(module).__name__, getattr(module, "weight", None)
        centred = kind == "LayerNorm"
        if not (centred or kind.endswith("RMSNorm")) or weight is None or weight.dim() != 1:
            return None
        eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
        if float(weight.detach().abs().min()) < LEAST:
            return None
        return Shared(module, centred, torch.finfo(weight.dtype).eps if eps is None else eps)


class Shared(Wrapper):
    """A norm that keeps what it returns."""

    def __init__(self, inner: nn.Module, centred: bool, eps: float) -> None:
        super().__init__(inner)
        self.centred, self.eps = centred, eps

    def forward(self, x: Tensor) -> Tensor:
        """Return normed tokens (..., D)."""
        bias = self.inner.bias if self.centred else None
        y: Tensor = _Norm.apply(x, self.inner.weight, bias, self.centred, self.eps)
        return y


class _Norm(torch.autograd.Function):  # type: ignore[misc]
    """y = (x - mean) / deviation * gain + bias, or without the mean and the bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, bias: Tensor | None, centred: bool, eps: float) -> Tensor:
        wide = x.float()
        if centred:
            wide = wide - wide.mean(-1, keepdim=True)
        scale = (wide.square().mean(-1, keepdim=True) + eps).rsqrt()
        y = (wide * scale).to(x.dtype) * gain
        y = y if bias is None else y + bias
        ctx.centred = centred
        ctx.save_for_backward(y, scale, gain, bias)
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        y, scale, gain, bias = ctx.saved_tensors
        normed = ((y if bias is None else y - bias) / gain).float()
        inner = (outer * gain).float()
        slope = inner - normed * (inner * normed).mean(-1, keepdim=True)
        if ctx.centred:
            slope -= inner.mean(-1, keepdim=True)
        rows = tuple(range(outer.dim() - 1))
        of_gain = (outer * normed).sum(rows).to(gain.dtype) if ctx.needs_input_grad[1] else None
        of_bias = outer.sum(rows) if bias is not None and ctx.needs_input_grad[2] else None
        return (slope * scale).to(outer.dtype), of_gain, of_bias, None, None
