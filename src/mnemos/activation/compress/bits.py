"""Quantisation: numbers rounded to the nearest of 2^b levels, group by group, and packed into bytes.

Dimension letters are those of `mnemos.activation.base`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.errors import InvalidInput

WIDTHS = (1, 2, 4, 8)  # bits that fill a byte evenly


def check_bits(*widths: int) -> None:
    """Raise InvalidInput unless all widths are 1, 2, 4 or 8 bits."""
    for bits in widths:
        if bits not in WIDTHS:
            raise InvalidInput(f"cannot pack numbers in {bits} bits: choose from {', '.join(map(str, WIDTHS))}.")


@dataclass
class Packed:
    """A tensor (B, H, T, D) in few bits: x = low + scale * code, with a scale and a low for each group of numbers.

    Groups lie along `axis`: with 2, tokens share a scale (per channel); with 3, channels share one (per token). The
    last group may be shorter.
    """

    codes: Tensor  # uint8, the numbers of a group side by side, 8 / bits in a byte
    scale: Tensor  # (..., groups, 1) float16
    low: Tensor  # (..., groups, 1) float16
    shape: tuple[int, ...]  # of the tensor
    dtype: torch.dtype  # of the tensor
    bits: int  # per number
    axis: int  # 2 or 3
    group: int  # numbers that share a scale

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and lows."""
        return sum(t.numel() * t.element_size() for t in (self.codes, self.scale, self.low))

    def __len__(self) -> int:
        return self.shape[2]

    def rows(self, index: Tensor) -> Packed:
        """Return some rows of the batch, in that order."""
        picked = [t.index_select(0, index.to(t.device)) for t in (self.codes, self.scale, self.low)]
        return replace(self, codes=picked[0], scale=picked[1], low=picked[2], shape=(len(picked[0]), *self.shape[1:]))


def pack(tensor: Tensor, bits: int, axis: int, group: int = 32) -> Packed:
    """Return a tensor (B, H, T, D) in few bits. Raises InvalidInput for other widths than 1, 2, 4 and 8. O(size)."""
    check_bits(bits)
    rows = tensor.float().movedim(axis, -1)
    size = rows.shape[-1]
    group = min(group, size)
    if missing := -size % group:  # the last number again: it changes neither the least nor the largest
        rows = torch.cat((rows, rows[..., -1:].expand(*rows.shape[:-1], missing)), -1)
    rows = rows.unflatten(-1, (-1, group))
    low, high = rows.amin(-1, keepdim=True), rows.amax(-1, keepdim=True)
    low16 = low.half()
    scale16 = ((high - low16.float()) / (2**bits - 1)).clamp_min(2**-24).half()
    codes = ((rows - low16.float()) / scale16.float()).round().clamp(0, 2**bits - 1).to(torch.uint8)
    return Packed(_into_bytes(codes, bits), scale16, low16, tuple(tensor.shape), tensor.dtype, bits, axis, group)


def unpack(packed: Packed) -> Tensor:
    """Return the tensor (B, H, T, D) that was packed, rounded. O(size)."""
    codes = _from_bytes(packed.codes, packed.bits)[..., : packed.group]
    rows = (packed.low.float() + packed.scale.float() * codes.float()).flatten(-2)
    return rows[..., : packed.shape[packed.axis]].movedim(-1, packed.axis).to(packed.dtype)


def opened(held: Packed | Tensor) -> Tensor:
    """Return a tensor, whether it is packed or not."""
    return held if isinstance(held, Tensor) else unpack(held)


def rows_of(held: Packed | Tensor, index: Tensor) -> Packed | Tensor:
    """Return some rows of the batch of a tensor, packed or not."""
    return held.index_select(0, index.to(held.device)) if isinstance(held, Tensor) else held.rows(index)


def _into_bytes(codes: Tensor, bits: int) -> Tensor:
    """Put 8 / bits codes into each byte of the last axis."""
    each = 8 // bits
    if missing := -codes.shape[-1] % each:
        codes = torch.nn.functional.pad(codes, (0, missing))
    parts = codes.unflatten(-1, (-1, each))
    shifts = torch.arange(each, device=codes.device, dtype=torch.uint8) * bits
    return (parts << shifts).sum(-1, dtype=torch.uint8)


def _from_bytes(codes: Tensor, bits: int) -> Tensor:
    each = 8 // bits
    shifts = torch.arange(each, device=codes.device, dtype=torch.uint8) * bits
    return ((codes[..., None] >> shifts) & (2**bits - 1)).flatten(-2)
