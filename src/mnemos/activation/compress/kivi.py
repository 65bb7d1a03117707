"""KIVI: keys in few bits per channel, values in few bits per token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.compress.bits import WIDTHS, Packed, check_bits, pack, unpack
from mnemos.activation.compress.packed_store import PackedStore
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Axis = Literal["channel", "token"]
# The cost of an entry at 4 bits, in 32nds of one in float32: a scale and a low in float16 for 32 numbers are one bit more, the
# position of an entry where others were evicted is a quarter at most, and the rest is for groups that are not full.
COST = 4 + 2


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

    def __post_init__(self) -> None:
        check_bits(self.bits, self.value_bits or self.bits)
        if self.group < 1 or self.residual < 0:
            raise InvalidInput(
                f"group is {self.group} and residual {self.residual}: give a group of 1 or more and a residual of 0 or more."
            )
        if unknown := {self.keys, self.values} - {"channel", "token"}:
            raise InvalidInput(f"axis is {unknown.pop()!r}: choose 'channel' or 'token'.")

    def __call__(self, setup: Setup) -> KiviStore:
        """Return the store of a layer."""
        return KiviStore(self)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold every entry in as many bits as the share of a float32 cache affords, without a residual."""
        return CacheMethod(store=Kivi(affordable_bits(share), residual=0))


@dataclass
class PackedPair:
    """Packed keys and values of the same entries."""

    keys: Packed
    values: Packed

    def open(self) -> tuple[Tensor, Tensor]:
        """Return both, rounded."""
        return unpack(self.keys), unpack(self.values)

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


def affordable_bits(share: float) -> int:
    """Return the most bits at which all entries fit into a share of a float32 cache.

    Raises InvalidInput for a share below 1 bit a number.
    """
    fitting = [bits for bits in WIDTHS if (bits + 1) / 32 <= share]
    if not fitting:
        raise InvalidInput(
            f"a share of {share} is less than all entries take at 1 bit a number with its scales: evict some entries too."
        )
    return max(fitting)


@register("keydiff-kivi", task="key-value", baselines=("keydiff", "kivi"))
def keydiff_kivi(share: float) -> CacheMethod:
    """Evict by KeyDiff what does not fit at 4 bits; where all entries fit, hold all in as many bits as fit.

    The combination is ours.
    """
    if share * 32 >= COST:
        return CacheMethod(store=Kivi(affordable_bits(share), residual=0))
    return CacheMethod(KeyDiff(), prompt=share * 32 / COST, store=Kivi(4, group=64, residual=0))
