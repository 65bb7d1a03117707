"""Quantisation: numbers rounded to the nearest of 2^b levels, group by group, and packed into bytes.

Dimension letters are those of `mnemos.activation.base`.
"""

from __future__ import annotations

from collections.abc import Callable
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
    last group may be shorter. A byte holds numbers that stand 1 / (8 / bits) of a group apart, so that whole rows are
    unpacked at once.
    """

    codes: Tensor  # uint8; as the tensor with `axis` split into groups, and 8 / bits numbers of a group in a byte
    scale: Tensor  # float16; the same, but one for a group
    low: Tensor  # float16; likewise
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

    def can_join(self, later: Packed) -> bool:
        """Return whether later tokens can follow: groups are equally long, and none ends early."""
        return self.group == later.group and (self.axis == 3 or self.shape[2] % self.group == 0)

    def each(self, change: Callable[[Tensor], Tensor]) -> Packed:
        """Return codes, scales and lows changed alike: other rows of the batch, or (per token) other tokens."""
        codes, scale, low = (change(t) for t in (self.codes, self.scale, self.low))
        count = self.shape[2] if self.axis == 2 else codes.shape[2]
        return replace(self, codes=codes, scale=scale, low=low, shape=(*codes.shape[:2], count, self.shape[3]))

    def rows(self, index: Tensor) -> Packed:
        """Return some rows of the batch, in that order."""
        return self.each(lambda t: t.index_select(0, index.to(t.device)))

    def joined(self, other: Packed) -> Packed:
        """Return these tokens followed by others of the same kind; see `can_join`. O(bytes)."""
        pairs = ((self.codes, other.codes), (self.scale, other.scale), (self.low, other.low))
        codes, scale, low = (torch.cat(pair, 2) for pair in pairs)
        shape = (*self.shape[:2], self.shape[2] + other.shape[2], self.shape[3])
        return replace(self, codes=codes, scale=scale, low=low, shape=shape)


def packed_bits(bits: int, group: int) -> float:
    """Return the bits of a number, its part of a scale and a low included."""
    return bits + 32 / group


def pack(tensor: Tensor, bits: int, axis: int, group: int = 32) -> Packed:
    """Return a tensor (B, H, T, D) in few bits. Raises InvalidInput for other widths than 1, 2, 4 and 8. O(size)."""
    check_bits(bits)
    size, inside = tensor.shape[axis], axis + 1
    group = min(group, size)
    rows = tensor.float()
    if missing := -size % group:  # the last number again: it changes neither the least nor the largest
        last = rows.narrow(axis, size - 1, 1)
        rows = torch.cat((rows, last.expand(*rows.shape[:axis], missing, *rows.shape[axis + 1 :])), axis)
    rows = rows.unflatten(axis, (-1, group))
    low, high = rows.amin(inside, keepdim=True), rows.amax(inside, keepdim=True)
    low16 = low.half()
    scale16 = ((high - low16.float()) / (2**bits - 1)).clamp_min(2**-24).half()
    codes = ((rows - low16.float()) / scale16.float()).round().clamp(0, 2**bits - 1).to(torch.uint8)
    each = 8 // bits
    if missing := -group % each:
        codes = torch.nn.functional.pad(codes, ((0, 0) * (codes.dim() - 1 - inside)) + (0, missing))
    parts = codes.unflatten(inside, (each, -1)).unbind(inside)
    for i, part in enumerate(parts[1:], 1):
        parts[0].bitwise_or_(part << i * bits)
    return Packed(parts[0].clone(), scale16, low16, tuple(tensor.shape), tensor.dtype, bits, axis, group)


def unpack(packed: Packed, out: Tensor | None = None) -> Tensor:
    """Return the tensor (B, H, T, D) that was packed, rounded, in `out` if it is given; O(size).

    The bits of a number are cut out of their bytes as bytes; then three passes over the numbers, a scale a group.
    """
    axis, inside, bits, each = packed.axis, packed.axis + 1, packed.bits, 8 // packed.bits
    codes = packed.codes
    if each > 1:
        parts = codes.new_empty(*codes.shape[:inside], each, *codes.shape[inside:])
        for i, part in enumerate(parts.unbind(inside)):
            torch.bitwise_and(codes if i == 0 else codes >> i * bits, 2**bits - 1, out=part)
        codes = parts.flatten(inside, inside + 1).narrow(inside, 0, packed.group)
    scale, low = packed.scale.float(), packed.low.float()
    if out is not None and out.dtype == torch.float32 and codes.shape[axis] * packed.group == packed.shape[axis]:
        out.unflatten(axis, (-1, packed.group)).copy_(codes).mul_(scale).add_(low)
        return out
    whole = codes.float().mul_(scale).add_(low).flatten(axis, inside).narrow(axis, 0, packed.shape[axis])
    return whole.to(packed.dtype) if out is None else out.copy_(whole)


def opened(held: Packed | Tensor) -> Tensor:
    """Return a tensor, whether it is packed or not."""
    return held if isinstance(held, Tensor) else unpack(held)


def open_into(held: Packed | Tensor, out: Tensor) -> None:
    """Write a tensor, packed or not, into another."""
    if isinstance(held, Tensor):
        out.copy_(held)
    else:
        unpack(held, out)


def rows_of(held: Packed | Tensor, index: Tensor) -> Packed | Tensor:
    """Return some rows of the batch of a tensor, packed or not."""
    return held.index_select(0, index.to(held.device)) if isinstance(held, Tensor) else held.rows(index)


def can_join(one: Packed | Tensor, two: Packed | Tensor) -> bool:
    """Return whether two tensors, both packed or both not, can be `joined`."""
    return not isinstance(one, Packed) or (isinstance(two, Packed) and one.can_join(two))


def joined(one: Packed | Tensor, two: Packed | Tensor) -> Packed | Tensor:
    """Return the tokens of one tensor followed by those of another, both packed or both not."""
    if isinstance(one, Packed):
        assert isinstance(two, Packed)
        return one.joined(two)
    assert isinstance(two, Tensor)
    return torch.cat((one, two), 2)
