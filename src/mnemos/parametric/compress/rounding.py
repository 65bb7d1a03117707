"""Rounding to the nearest of 2^n levels, group by group: what other compressors have to beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.planes import check_bits, pack, size_of, unpack
from mnemos.registry import register


@register("round-to-nearest", task="weight-compression")
@dataclass(frozen=True)
class RoundToNearest:
    """Rounds each number of a matrix to the nearest of 2^bits levels between the least and the largest of its group.

    The textbook's baseline. Numbers of a row share a scale and a least number, 32 bits a group of `group` columns.
    """

    bits: int = 4  # a number, 1 to 8
    group: int = 64  # columns that share a scale; the last group of a row may be shorter

    def __post_init__(self) -> None:
        check_bits(self.bits)
        if self.group < 1:
            raise InvalidInput(f"group is {self.group}: give 1 column or more.")

    def compress(self, weight: Tensor) -> Rounded:
        """Return the rounded matrix (out, in)."""
        rows, columns = weight.shape
        short = -columns % self.group
        groups = functional.pad(weight.detach().float(), (0, short), mode="constant")
        if short:
            groups[:, columns:] = groups[:, columns - 1 : columns]  # as the last number: widens no range
        groups = groups.view(rows, -1, self.group)
        low, high = groups.amin(2, keepdim=True).half(), groups.amax(2, keepdim=True)
        scale = ((high - low.float()) / (2**self.bits - 1)).half()
        step = scale.float().where(scale > 0, torch.ones_like(high))
        codes = ((groups - low.float()) / step).round().clamp(0, 2**self.bits - 1)
        planes = pack(codes.view(rows, -1)[:, :columns], self.bits)
        return Rounded(planes, scale[..., 0], low[..., 0], columns, self.group, weight.dtype)


@dataclass(frozen=True)
class Rounded:
    """A matrix rounded to levels: low + scale * code."""

    planes: Tensor  # of the codes
    scale: Tensor  # float16 (out, groups)
    low: Tensor  # float16 (out, groups)
    columns: int  # of the matrix
    group: int  # columns that share a scale
    dtype: torch.dtype  # of the matrix

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and least numbers."""
        return size_of(self.planes, self.scale, self.low)

    def decompress(self) -> Tensor:
        """Return the matrix (out, in)."""
        spread = [t.float().repeat_interleave(self.group, 1)[:, : self.columns] for t in (self.scale, self.low)]
        return (unpack(self.planes, self.columns) * spread[0] + spread[1]).to(self.dtype)
