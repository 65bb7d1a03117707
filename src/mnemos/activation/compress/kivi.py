"""KIVI: keys in few bits per channel, values in few bits per token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from mnemos.activation.compress.bits import WIDTHS, Packed, pack, unpack
from mnemos.activation.compress.packed_store import PackedStore
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.method import CacheMethod, Setup
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Axis = Literal["channel", "token"]
# What an entry costs at 4 bits, in 32nds of one in float32: a scale and a low in float16 for 32 numbers are one bit more, the
# position of an entry among others that went a quarter at most, and the rest is for groups that are not full.
COST = 4 + 2


@register(
    "kivi",
    papers=(Paper("KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", "2402.02750"),),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
    phase="decode",
)
@dataclass(frozen=True)
class Kivi:
    """Rounds keys per channel (`group` tokens share a scale) and values per token (`group` channels do): a `store`.

    q = round((x - low) / s) with s = (max - min) / (2^bits - 1). Outliers of keys sit in fixed channels: per channel
    they widen no other's scale. The `residual` newest entries are plain and go over in groups; what is packed is never
    packed again. `keys` and `values` choose the axes, so that the four layouts can be compared; bits are 1, 2, 4 or 8.
    Unlike the paper's, the last group of a prompt may be shorter, and groups are made equally long; scales and lows are
    float16. Padding is rounded with the rest.
    """

    bits: int = 2
    value_bits: int | None = None  # as for keys
    keys: Axis = "channel"
    values: Axis = "token"
    group: int = 32
    residual: int = 128

    def __post_init__(self) -> None:
        for bits in (self.bits, self.value_bits or self.bits):
            if bits not in WIDTHS:
                raise InvalidInput(f"{bits} bits cannot be packed: choose from {', '.join(map(str, WIDTHS))}.")
        if self.group < 1 or self.residual < 0:
            raise InvalidInput(f"group {self.group} and residual {self.residual}: give 1 or more, and 0 or more.")
        if unknown := {self.keys, self.values} - {"channel", "token"}:
            raise InvalidInput(f"axis {unknown.pop()!r}: choose 'channel' or 'token'.")

    def __call__(self, setup: Setup) -> Rounded:
        """Return the store of a layer."""
        return Rounded(self)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Every entry in as many bits as the share of a float32 cache affords, without a residual."""
        return CacheMethod(store=Kivi(afforded(share), residual=0))


@dataclass
class Pair:
    """Packed keys and values of the same entries."""

    keys: Packed
    values: Packed

    def open(self) -> tuple[Tensor, Tensor]:
        """Return both, rounded."""
        return unpack(self.keys), unpack(self.values)

    def rows(self, index: Tensor) -> Pair:
        """Return both for some rows of the batch."""
        return Pair(self.keys.rows(index), self.values.rows(index))

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return self.keys.nbytes + self.values.nbytes


class Rounded(PackedStore):
    """The store of `Kivi`."""

    def __init__(self, kivi: Kivi) -> None:
        super().__init__(kivi.residual, kivi.group)
        self.kivi = kivi

    def pack(self, keys: Tensor, values: Tensor) -> Pair:
        """Return the entries in few bits."""
        kivi = self.kivi
        return Pair(
            self._packed(keys, kivi.bits, kivi.keys), self._packed(values, kivi.value_bits or kivi.bits, kivi.values)
        )

    def _packed(self, tensor: Tensor, bits: int, axis: Axis) -> Packed:
        dim = 2 if axis == "channel" else 3
        groups = -(-tensor.shape[dim] // self.group)
        return pack(tensor, bits, dim, -(-tensor.shape[dim] // groups))


def afforded(share: float) -> int:
    """Return the most bits at which all entries fit into a share of a float32 cache. Raises InvalidInput below 1 bit."""
    fitting = [bits for bits in WIDTHS if (bits + 1) / 32 <= share]
    if not fitting:
        raise InvalidInput(f"{share} of a cache is below 1 bit a number with its scales: evict some entries, too.")
    return max(fitting)


@register("keydiff-kivi", task="key-value", baselines=("keydiff", "kivi"))
def keydiff_kivi(share: float) -> CacheMethod:
    """KeyDiff evicts what does not fit at 4 bits; where all would fit, more bits instead."""
    if share * 32 >= COST:
        return CacheMethod(store=Kivi(afforded(share), residual=0))
    return CacheMethod(KeyDiff(), prompt=share * 32 / COST, store=Kivi(4, group=64, residual=0))
