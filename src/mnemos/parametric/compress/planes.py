"""Bit planes: numbers of 1 to 8 bits, packed so that each bit has a plane of its own and none is wasted."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnemos.errors import InvalidInput

Planes = NDArray[np.uint8]  # (bits, rows, columns / 8)


def check_bits(bits: int) -> None:
    """Raise InvalidInput unless a number has 1 to 8 bits."""
    if not 1 <= bits <= 8:
        raise InvalidInput(f"bits is {bits}: give 1 to 8.")


def pack(codes: Tensor, bits: int) -> Tensor:
    """Return codes (rows, columns) of `bits` bits as planes (bits, rows, ceil(columns / 8)), uint8; the lowest bit first."""
    numbers = codes.cpu().numpy().astype(np.uint8)
    return torch.from_numpy(np.stack([np.packbits((numbers >> i) & 1, axis=1, bitorder="little") for i in range(bits)]))


def unpack(planes: Tensor, columns: int) -> Tensor:
    """Return the codes (rows, columns) of planes, int64."""
    bits = np.unpackbits(planes.numpy(), axis=2, count=columns, bitorder="little").astype(np.int64)
    return torch.from_numpy(sum(plane << i for i, plane in enumerate(bits)))


def size_of(*tensors: Tensor) -> int:
    """Return the bytes of tensors."""
    return int(sum(t.numel() * t.element_size() for t in tensors))
