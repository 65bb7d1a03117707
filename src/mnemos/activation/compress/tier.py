"""Entries of one precision, from which single ones can be taken."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.compress.bits import Packed, joined, open_into, opened, pack, rows_of
from mnemos.activation.entries import take

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

    def __len__(self) -> int:
        return int(self.keys.shape[2])

    def open(self) -> tuple[Tensor, Tensor]:
        """Return keys and values, (B, H, n, D)."""
        return opened(self.keys), opened(self.values)

    def open_into(self, keys: Tensor, values: Tensor) -> None:
        """Write keys and values into tensors (B, H, n, D)."""
        open_into(self.keys, keys)
        open_into(self.values, values)

    def joined(self, other: Tier) -> Tier:
        """Return these entries followed by others."""
        return Tier(self.bits, joined(self.keys, other.keys), joined(self.values, other.values))

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


def _taken(held: Packed | Tensor, index: Tensor) -> Packed | Tensor:
    if isinstance(held, Tensor):
        return take(held, index)
    return held.each(lambda t: take(t.flatten(3), index).unflatten(3, t.shape[3:]))
