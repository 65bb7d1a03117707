"""Activations that keep a code of their derivative, of 2 or 4 bits a number, in place of what goes into them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.footprint.activations.quantised import packed, quantised, restored, unpacked
from mnemos.footprint.wrapper import Wrapper, Wraps
from mnemos.registry import Paper, register

GROUP = 256  # derivatives that share a scale, where they have one


class Steps(NamedTuple):
    """The sum of three shifted ReLUs that is nearest to a function, by the square of the difference: the paper's figures."""

    slopes: tuple[float, float, float]
    at: tuple[float, float, float]


GELU = Steps(
    (-0.04922261145617846, 1.0979632065417297, -0.048740595085551286),
    (-3.1858810036855245, -0.001178821281161997, 3.190832613414926),
)
SILU = Steps(
    (-0.04060357190528599, 1.080925428529668, -0.040321856624382146),
    (-6.3050461001646445, -0.0008684942046214787, 6.325815242089708),
)


def slope_of_gelu(x: Tensor) -> Tensor:
    """Return the derivative of x Phi(x)."""
    return torch.special.ndtr(x) + x * torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def slope_of_silu(x: Tensor) -> Tensor:
    """Return the derivative of x sigmoid(x)."""
    gate = x.sigmoid()
    return gate * (1 + x * (1 - gate))


class Activation(NamedTuple):
    """A function, its derivative, and the sum of ReLUs in its place."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    steps: Steps


KNOWN = {  # of torch and of transformers, by the names of their classes
    "GELU": Activation(F.gelu, slope_of_gelu, GELU),
    "GELUActivation": Activation(F.gelu, slope_of_gelu, GELU),
    "SiLU": Activation(F.silu, slope_of_silu, SILU),
    "SiLUActivation": Activation(F.silu, slope_of_silu, SILU),
}


@register(
    "approximate",
    papers=(
        Paper("Reducing Fine-Tuning Memory Overhead by Approximate and Memory-Sharing Backpropagation", "2406.16282",
              "yyyyychen/LowMemoryBP"),
        Paper("S2A: A Unified Framework for Parameter and Memory Efficient Transfer Learning", "2503.08154"),
    ),
    baselines=("in-memory",),
)  # fmt: skip
@dataclass
class Approximate(Wraps):
    """Computes GELU and SiLU as they are, and keeps their derivatives in 2 bits (ReGELU2, ReSiLU2) or 4 (S2A).

    With 2 bits a derivative is that of the nearest sum of three shifted ReLUs: one of four slopes, off by 0.55 at most and right
    on average. With 4 or 8 it is rounded between the least and the largest of its group.
    """

    exact: ClassVar[bool] = False
    bits: int = 2  # of each derivative

    def __post_init__(self) -> None:
        if self.bits not in (2, 4, 8):
            raise InvalidInput(f"bits is {self.bits}: give 2, 4 or 8.")

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return an activation that keeps less in place of a GELU (not its tanh form) or SiLU."""
        plain = KNOWN.get(type(module).__name__)
        if plain is None or getattr(module, "approximate", "none") != "none":
            return None
        return Lean(module, plain, self.bits)


class Lean(Wrapper):
    """An activation and its derivative in few bits."""

    def __init__(self, inner: nn.Module, plain: Activation, bits: int) -> None:
        super().__init__(inner)
        self.plain, self.bits = plain, bits

    def forward(self, x: Tensor) -> Tensor:
        """Return what the activation returns."""
        y: Tensor = _Coded.apply(x, self.plain, self.bits)
        return y


class _Coded(torch.autograd.Function):  # type: ignore[misc]
    """Keeps codes of the derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, plain: Activation, bits: int) -> Tensor:
        ctx.steps, ctx.bits, ctx.shape, ctx.dtype = plain.steps, bits, x.shape, x.dtype
        flat = x.detach().flatten()
        if bits == 2:
            places = torch.tensor(plain.steps.at, dtype=x.dtype, device=x.device)
            ctx.save_for_backward(packed(torch.bucketize(flat, places, out_int32=True).to(torch.uint8), 2))
        else:
            ctx.save_for_backward(*quantised(plain.slope(flat), bits, GROUP, None))
        return plain.value(x)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        codes, *scales = ctx.saved_tensors
        if scales:
            slope = restored(codes, scales[0], scales[1], ctx.bits, GROUP, ctx.shape.numel())
        else:
            slopes = torch.tensor((0.0, *ctx.steps.slopes), device=codes.device).cumsum(0)
            slope = slopes[unpacked(codes, 2, ctx.shape.numel()).int()]
        return outer * slope.to(ctx.dtype).view(ctx.shape), None, None
