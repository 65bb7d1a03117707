"""Bipolar integers: numbers of n bits that are each -1 or +1, and their product plane by plane."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.planes import check_bits, pack, size_of, unpack
from mnemos.registry import Paper, register


@register(
    "bipolar-int",
    papers=(
        Paper("Efficient Arbitrary Precision Acceleration for Large Language Models on GPU Tensor Cores", "2409.17870"),
    ),
    task="weight-compression",
    baselines=("round-to-nearest",),
)
@dataclass(frozen=True)
class BipolarInt:
    """Holds numbers as scale * sum_i 2^i b_i with n bits b_i of -1 or +1: symmetric, without a zero point, any n of 1 to 8.

    What is held are the odd numbers from -(2^n - 1) to 2^n - 1, n/32 of the bytes of float32 and a scale a row. Two such
    matrices are multiplied on their bit planes, exactly. On a CPU that saves bytes, not time: the paper's speed is that
    of its GPU kernels. `grid="integer"` are the integers of two's complement in the same bytes, for comparison.
    """

    bits: int = 4  # a number, 1 to 8
    grid: Literal["bipolar", "integer"] = "bipolar"  # integer: -(2^(n-1)) .. 2^(n-1) - 1, of which zero is one
    steps: int = 48  # scales that are tried, from the one that clips nothing downwards; 1: that one

    def __post_init__(self) -> None:
        check_bits(self.bits)
        if self.steps < 1:
            raise InvalidInput(f"steps is {self.steps}: give 1 scale or more.")

    def compress(self, weight: Tensor) -> Bipolar:
        """Return the matrix (out, in) with the scale of each row that rounds it with the least squared error."""
        matrix = weight.detach().float()
        largest = matrix.abs().amax(1, keepdim=True).clamp(min=1e-12)
        top = 2**self.bits - 1 if self.grid == "bipolar" else max(2 ** (self.bits - 1) - 1, 1)
        best, least = largest / top, torch.full_like(largest, torch.inf)
        for step in range(self.steps):
            scale = largest / top * (1 - step / self.steps)
            error = (self._levels(self._codes(matrix, scale)) * scale - matrix).square().sum(1, keepdim=True)
            best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
        planes = pack(self._codes(matrix, best), self.bits)
        return Bipolar(planes, best[:, 0], matrix.shape[1], self.grid, weight.dtype)

    def _codes(self, matrix: Tensor, scale: Tensor) -> Tensor:
        if self.grid == "bipolar":  # code c stands for 2 c - (2^n - 1)
            return ((matrix / scale + 2**self.bits - 1) / 2).round().clamp(0, 2**self.bits - 1)
        return (matrix / scale + 2 ** (self.bits - 1)).round().clamp(0, 2**self.bits - 1)

    def _levels(self, codes: Tensor) -> Tensor:
        return _levels(codes, self.bits, self.grid)


@dataclass(frozen=True)
class Bipolar:
    """A matrix of bipolar integers with a scale a row."""

    planes: Tensor  # uint8 (n, out, in / 8): a set bit is +1
    scale: Tensor  # float32 (out,)
    columns: int  # of the matrix
    grid: Literal["bipolar", "integer"]  # what the codes stand for
    dtype: torch.dtype  # of the matrix

    @property
    def nbytes(self) -> int:
        """Bytes of planes and scales."""
        return size_of(self.planes, self.scale)

    def integers(self) -> Tensor:
        """Return the integers (out, in), int64."""
        return _levels(unpack(self.planes, self.columns), self.planes.shape[0], self.grid)

    def decompress(self) -> Tensor:
        """Return the matrix (out, in)."""
        return (self.integers() * self.scale[:, None]).to(self.dtype)

    def slice(self, rows: slice) -> Bipolar:
        """Return some rows."""
        return replace(self, planes=self.planes[:, rows], scale=self.scale[rows])


def product(left: Bipolar, right: Bipolar) -> Tensor:
    """Return the integer product left @ right^T (rows, rows), int64, from bit planes alone.

    sum_ij 2^(i+j) (K - 2 popcount(left_i xor right_j)) over K columns. Raises InvalidInput for the grid of integers.
    """
    if "integer" in (left.grid, right.grid) or left.columns != right.columns:
        raise InvalidInput("only bipolar integers with as many columns have a product on bit planes.")
    total = np.zeros((left.planes.shape[1], right.planes.shape[1]), dtype=np.int64)
    for i, own in enumerate(left.planes.numpy()):
        for j, other in enumerate(right.planes.numpy()):
            differ = np.bitwise_count(own[:, None] ^ other[None]).sum(2, dtype=np.int64)
            total += (left.columns - 2 * differ) << (i + j)
    return torch.from_numpy(total)


def _levels(codes: Tensor, bits: int, grid: str) -> Tensor:
    return 2 * codes - (2**bits - 1) if grid == "bipolar" else codes - 2 ** (bits - 1)
