"""KIVI: keys in few bits per channel, values in few bits per token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.compress.bits import WIDTHS, Packed, check_bits, pack, packed_bits, unpack
from mnemos.activation.compress.packed_store import PackedStore
from mnemos.activation.entries import Entries
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Axis = Literal["channel", "token"]


@register(
    "kivi",
    papers=(Paper("KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", "2402.02750", code="jy-yuan/KIVI"),),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
    phase="decode",
)
@dataclass(frozen=True)
class Kivi:
    """Rounds keys per channel (`group` tokens share a scale) and values per token (`group` channels share one).

    q = round((x - low) / s) with s = (max - min) / (2^bits - 1). Outliers of keys sit in fixed channels: per channel
    they widen no other channel's scale. What is packed is never packed again. The axes can be chosen, to compare the
    four layouts.

    Deviations: the last group of a prompt may be shorter, and groups are made equally long; scales and lows are
    float16; padding is rounded with the rest.
    """

    bits: int = 2  # of keys: 1, 2, 4 or 8
    value_bits: int | None = None  # of values; None: as for keys
    keys: Axis = "channel"  # the axis along which keys are rounded
    values: Axis = "token"  # the axis along which values are rounded
    group: int = 32  # numbers that share a scale
    residual: int = 128  # newest entries that are not packed; they are packed a group at a time
    share: float | None = (
        None  # have the most bits, but `bits` at least, that fit into a share of the model's keys and values
    )

    def __post_init__(self) -> None:
        check_bits(self.bits, self.value_bits or self.bits)
        if self.group < 1 or self.residual < 0:
            raise InvalidInput(
                f"group is {self.group} and residual {self.residual}: give a group of 1 or more and a residual of 0 or more."
            )
        if unknown := {self.keys, self.values} - {"channel", "token"}:
            raise InvalidInput(f"axis is {unknown.pop()!r}: choose 'channel' or 'token'.")

    def __call__(self, setup: Setup) -> KiviStore:
        """Return the store of a layer. Raises InvalidInput where not even one bit fits into the share."""
        if self.share is None:
            return KiviStore(self)
        fitting = affordable_bits(self.share, setup.model.dtype, self.group)
        if not fitting and self.bits == 1:
            raise InvalidInput(
                f"a share of {self.share} of {setup.model.dtype} is less than all entries take at 1 bit a number with its "
                "scales: evict some entries too."
            )
        return KiviStore(replace(self, bits=max(fitting, self.bits), value_bits=None))

    def entries_in(self, nbytes: float, entries: Entries) -> int:
        """Return how many entries fit into bytes of a head: all, or as many as at `bits` with their positions."""
        width = entries.keys.shape[3]
        if self.share is not None and affordable_bits(self.share, entries.keys.dtype, self.group) >= self.bits:
            return len(entries)
        sides = ((self.keys, self.bits), (self.values, self.value_bits or self.bits))
        count = min(len(entries), int(8 * nbytes / (self.bits * 2 * width)))
        while count > 0 and sum(self._bytes(count, width, *side) for side in sides) + 4 * count > nbytes:
            count -= 1
        return count

    def _bytes(self, count: int, width: int, axis: Axis, bits: int) -> int:
        """Return the bytes of `count` vectors of a width, rounded along an axis."""
        size, other = (count, width) if axis == "channel" else (width, count)
        groups = ceil(size / self.group)
        return groups * other * (ceil(ceil(size / groups) * bits / 8) + 4)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold every entry in as many bits as the share affords, without a residual."""
        if not affordable_bits(share, torch.float32, 32):
            raise InvalidInput(f"a share of {share} is below 1 bit a number with its scales: evict some entries too.")
        return CacheMethod(store=Kivi(1, residual=0, share=share))


@dataclass
class PackedPair:
    """Packed keys and values of the same entries."""

    keys: Packed
    values: Packed

    def __len__(self) -> int:
        return len(self.keys)

    def can_join(self, later: PackedPair) -> bool:
        """Return whether the groups of both have one length."""
        return self.keys.can_join(later.keys) and self.values.can_join(later.values)

    def joined(self, later: PackedPair) -> PackedPair:
        """Return these entries followed by later ones."""
        return PackedPair(self.keys.joined(later.keys), self.values.joined(later.values))

    def open_into(self, keys: Tensor, values: Tensor) -> None:
        """Write both, rounded."""
        unpack(self.keys, keys)
        unpack(self.values, values)

    def rows(self, index: Tensor) -> PackedPair:
        """Return both for some rows of the batch."""
        return PackedPair(self.keys.rows(index), self.values.rows(index))

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return self.keys.nbytes + self.values.nbytes


class KiviStore(PackedStore):
    """The store of `Kivi`."""

    def __init__(self, kivi: Kivi) -> None:
        super().__init__(kivi.residual, kivi.group)
        self.kivi = kivi

    def pack(self, keys: Tensor, values: Tensor) -> PackedPair:
        """Return the entries in few bits."""
        kivi = self.kivi
        return PackedPair(
            self._packed(keys, kivi.bits, kivi.keys), self._packed(values, kivi.value_bits or kivi.bits, kivi.values)
        )

    def _packed(self, tensor: Tensor, bits: int, axis: Axis) -> Packed:
        dim = 2 if axis == "channel" else 3
        groups = -(-tensor.shape[dim] // self.group)
        return pack(tensor, bits, dim, -(-tensor.shape[dim] // groups))


def affordable_bits(share: float, dtype: torch.dtype, group: int) -> int:
    """Return the most bits at which all numbers fit into a share of those of a type; 0 where none do."""
    room = share * torch.finfo(dtype).bits
    return max((bits for bits in WIDTHS if packed_bits(bits, group) <= room), default=0)


@register("keydiff-kivi", task="key-value", baselines=("keydiff", "kivi"))
def keydiff_kivi(share: float) -> CacheMethod:
    """Evict by KeyDiff what does not fit at 4 bits; where all entries fit, hold all in as many bits as fit.

    The combination is ours.
    """
    return CacheMethod(KeyDiff(), prompt=share, store=Kivi(4, residual=0, share=share))
