"""Holding what the backward pass needs as whole numbers of some bits, with a scale for each group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.footprint.base import Held
from mnemos.registry import Paper, register

BITS = (2, 4, 8)


@register(
    "quantised",
    papers=(
        Paper("S2A: A Unified Framework for Parameter and Memory Efficient Transfer Learning", "2503.08154"),
        Paper("ActNN: Reducing Training Memory Footprint via 2-Bit Activation Compressed Training", "2104.14129",
              "ucbrise/actnn"),
    ),
    baselines=("in-memory",),
)  # fmt: skip
@dataclass
class Quantised:
    """Rounds each number to one of 2, 4 or 8 bits between the least and the largest of its group, up or down at random.

    The bound: no number is off by more than one step, (largest - least) / (2 ** bits - 1) of its group, and what is rounded at
    random is right on average. Whole numbers and truth values stay as they are.
    """

    exact: ClassVar[bool] = False
    bits: int = 8  # of each number
    group: int = 256  # numbers that share a scale
    random: bool = True  # round up or down at random, so that gradients are right on average; False: to the nearest
    seed: int = 0  # of the rounding

    def __post_init__(self) -> None:
        if self.bits not in BITS or self.group < 1:
            raise InvalidInput(
                f"bits is {self.bits} and group {self.group}: give 2, 4 or 8 bits, and a group of at least 1."
            )
        self._generator = torch.Generator().manual_seed(self.seed)

    def pack(self, tensor: Tensor) -> Held:
        """Return codes, and the least number and the step of each group."""
        if not tensor.is_floating_point():
            return Held((tensor,))
        noise = self._generator if self.random else None
        codes, least, step = quantised(tensor, self.bits, self.group, noise)
        return Held((codes, least, step), (tensor.dtype, len(tensor)))

    def unpack(self, held: Held) -> Tensor:
        """Return the numbers that the codes stand for."""
        if held.about is None:
            return held.parts[0]
        dtype, count = held.about
        codes, least, step = held.parts
        return restored(codes, least, step, self.bits, self.group, count).to(dtype)

    def close(self) -> None:
        """Begin the random numbers again."""
        self._generator.manual_seed(self.seed)


def quantised(tensor: Tensor, bits: int, group: int, noise: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return packed codes (bytes), and the least number and the step of each group, of a one-dimensional tensor."""
    levels, count = 2**bits - 1, len(tensor)
    groups = torch.nn.functional.pad(tensor.detach().float(), (0, -count % group), value=0.0).view(-1, group)
    least = groups.amin(1, keepdim=True)
    step = (groups.amax(1, keepdim=True) - least) / levels
    scaled = (groups - least).div_(torch.where(step > 0, step, 1.0))
    if noise is None:
        scaled.round_()
    else:
        scaled.add_(torch.rand(scaled.shape, generator=noise).to(scaled.device)).floor_()
    return packed(scaled.clamp_(0, levels).to(torch.uint8).flatten()[:count], bits), least.flatten(), step.flatten()


def restored(codes: Tensor, least: Tensor, step: Tensor, bits: int, group: int, count: int) -> Tensor:
    """Return the numbers that `quantised` has rounded, in float32."""
    padded = math.ceil(count / group) * group
    numbers = torch.nn.functional.pad(unpacked(codes, bits, count), (0, padded - count)).float().view(-1, group)
    return numbers.mul_(step[:, None]).add_(least[:, None]).flatten()[:count]


def packed(codes: Tensor, bits: int) -> Tensor:
    """Return codes of 1, 2, 4 or 8 bits (each a byte) with as many in a byte as fit."""
    if bits == 8:
        return codes
    each = 8 // bits
    rows = torch.nn.functional.pad(codes, (0, -len(codes) % each)).view(-1, each)
    found = rows[:, 0].clone()
    for place in range(1, each):
        found |= rows[:, place] << (bits * place)
    return found


def unpacked(codes: Tensor, bits: int, count: int) -> Tensor:
    """Return `count` codes, each a byte."""
    if bits == 8:
        return codes[:count]
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=codes.device)
    return ((codes[:, None] >> shifts) & (2**bits - 1)).flatten()[:count]
