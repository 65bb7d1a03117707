"""Entries of one precision, from which single ones can be taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.activation.compress.bits import Packed, opened, pack, rows_of

GROUP = 32  # channels that share a scale


@dataclass
class Tier:
    """Keys and values of some entries of each head, in text order: packed per token, or as they are."""

    bits: int | None  # None: as they are
    keys: Packed | Tensor  # (B, H, n, D)
    values: Packed | Tensor  # (B, H, n, D)

    @staticmethod
    def of(keys: Tensor, values: Tensor, bits: int | None) -> Tier:
        """Return entries (B, H, n, D) in `bits` bits a number."""
        if bits is None:
            return Tier(bits, keys, values)
        return Tier(bits, pack(keys, bits, 3, GROUP), pack(values, bits, 3, GROUP))

    def open(self) -> tuple[Tensor, Tensor]:
        """Return keys and values, (B, H, n, D)."""
        return opened(self.keys), opened(self.values)

    def joined(self, other: Tier) -> Tier:
        """Return these entries followed by others."""
        return Tier(self.bits, _joined(self.keys, other.keys), _joined(self.values, other.values))

    def taken(self, index: Tensor) -> Tier:
        """Return the entries at index (B, H, n)."""
        return Tier(self.bits, _taken(self.keys, index), _taken(self.values, index))

    def rows(self, index: Tensor) -> Tier:
        """Return some rows of the batch."""
        return Tier(self.bits, rows_of(self.keys, index), rows_of(self.values, index))

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return int(self.keys.nbytes + self.values.nbytes)


def _joined(one: Packed | Tensor, two: Packed | Tensor) -> Packed | Tensor:
    if isinstance(one, Tensor) or isinstance(two, Tensor):
        assert isinstance(one, Tensor)
        assert isinstance(two, Tensor)
        return torch.cat((one, two), 2)
    pairs = ((one.codes, two.codes), (one.scale, two.scale), (one.low, two.low))
    return _like(one, [torch.cat(pair, 2) for pair in pairs])


def _taken(held: Packed | Tensor, index: Tensor) -> Packed | Tensor:
    def pick(t: Tensor) -> Tensor:
        return t.gather(2, index.reshape(*index.shape, *(1,) * (t.dim() - 3)).expand(*index.shape, *t.shape[3:]))

    if isinstance(held, Tensor):
        return pick(held)
    return _like(held, [pick(t) for t in (held.codes, held.scale, held.low)])


def _like(packed: Packed, parts: list[Tensor]) -> Packed:
    codes, scale, low = parts
    return replace(packed, codes=codes, scale=scale, low=low, shape=(*codes.shape[:3], packed.shape[3]))
