"""Transform coding (KVTC): each head's entries in its own directions, and bits where they change most.

Dimension letters are those of `mnemos.activation.base`; C is the channels of all heads, keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mnemos.activation.base import Setup
from mnemos.activation.compress.packed_store import PackedStore
from mnemos.activation.compress.planes import MOST, Planes, widths
from mnemos.activation.compress.spectrum import Spectrum, find_spectrum
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.activation.rotary import Rotary
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

TABLES = 24  # bits that the step and the width of a channel take
SHORTEST = 16  # entries below which nothing is packed: their tables would take more
PARTS = ("mean", "code", "back")  # of a spectrum, for keys and for values
LEAST = 0.25  # bits per number, where a share affords less


@register(
    "transform-coding",
    papers=(Paper("KV Cache Transform Coding for Compact Storage in LLM Inference", "2511.01815"),),
    task="key-value",
    baselines=("kivi", "xquant", "random-eviction", "sliding-window"),
    phase="decode",
)
@dataclass(frozen=True)
class TransformCoding:
    """Holds entries in `bits` bits per number on average, more where a head's entries differ and errors matter.

    Keys are turned back to position 0, and keys and values coded in the directions of the model's `spectrum`, in which
    they are uncorrelated and errors weigh alike. How much the entries at hand vary in each direction decides its bits,
    from 0 to 8. The first `sinks` entries, whose keys are unlike all others, stay
    as they are. Later entries
    are packed `group` at a time, with bits of their own.

    Deviations from the paper: each layer is coded apart; an error is weighed by the queries and by the weights that read
    it; bits follow the text itself (those of a calibration miss what is rare in it); there is no entropy coding, so
    entries can be read at any time. The rows of a batch share bits and steps, and
    padding counts in them.

    Reading costs up to 4 T W H D operations a layer and call, W = H D where heads are coded together (channels without
    a bit cost nothing). The spectrum is found once for this object and a model, by one more prefill, and belongs to the
    model: its bytes are not counted.
    """

    bits: float = 2.0  # per number, on average
    spectrum: Spectrum | None = None  # of the model; None: found by `find_spectrum` on random tokens
    sinks: int = 1  # first entries that stay as they are; the paper keeps 4
    together: bool = True  # code the heads of a layer together; False: each alone, to read faster or evict by head
    residual: int = 0  # newest entries that are not packed; up to a group more wait to be
    group: int = 128  # later entries that are packed together
    share: float | None = None  # choose the bits that fit into this share of the prompt's bytes
    found: WeakKeyDictionary[nn.Module, tuple[Spectrum, list[Rotary]]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not 0 < self.bits <= MOST or (self.share is not None and not 0 < self.share <= 1):
            raise InvalidInput(
                f"bits is {self.bits} and share {self.share}: give bits above 0 and at most {MOST}, and a share above 0 "
                "and at most 1."
            )
        if self.sinks < 0 or self.residual < 0 or self.group < SHORTEST:
            raise InvalidInput(
                f"sinks is {self.sinks}, residual {self.residual} and group {self.group}: give sinks and a residual of "
                f"0 or more, and a group of {SHORTEST} or more."
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> TransformCoding:
        return self

    def __call__(self, setup: Setup) -> TransformStore:
        """Return the store of a layer. Finds the spectrum of the model where none was given."""
        if setup.model not in self.found:
            try:
                rotary = [setup.rotary()]
            except InvalidInput:  # keys that cannot be turned are coded as they are
                rotary = []
            found = self.spectrum or find_spectrum(
                setup.model, rotary=rotary[0] if rotary else None, together=self.together
            )
            if len(found.key_mean) != setup.layers:
                raise InvalidInput(
                    f"the spectrum has {len(found.key_mean)} layers and the model {setup.layers}: find it for this model."
                )
            self.found[setup.model] = (found, rotary)
        spectrum, rotary = self.found[setup.model]
        return TransformStore(self, Code.of(spectrum, setup), rotary[0] if rotary else None)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold all entries in as many bits as the share affords."""
        return CacheMethod(store=TransformCoding(share=share))


@dataclass(frozen=True)
class Code:
    """The spectrum of a layer, or of some of its heads: N blocks of heads, each of W channels."""

    means: tuple[Tensor, Tensor]  # of keys and of values, (N, W) each
    there: tuple[Tensor, Tensor]  # (N, W, W)
    back: tuple[Tensor, Tensor]

    @staticmethod
    def of(spectrum: Spectrum, setup: Setup) -> Code:
        """Return the code of a layer. Raises InvalidInput for some of its heads, where they are coded together."""
        s, layer = spectrum, setup.layer
        means, there, back = ((getattr(s, f"key_{what}")[layer], getattr(s, f"value_{what}")[layer]) for what in PARTS)
        if setup.heads is not None:
            index = setup.heads
            if len(means[0]) == 1:
                raise InvalidInput("the heads of a layer are coded together: with budgets by head, use together=False.")
            means, there, back = (tuple(t.index_select(0, index) for t in pair) for pair in (means, there, back))
        return Code(means, there, back)

    def __deepcopy__(self, memo: dict[int, Any]) -> Code:
        return self

    def channels(self, keys: Tensor, values: Tensor) -> Tensor:
        """Return keys and values (B, H, n, D) as uncorrelated channels, (B, C, n)."""
        coded = []
        for vectors, mean, code in zip((keys, values), self.means, self.there, strict=True):
            blocks = vectors.float().unflatten(1, (len(mean), -1)).transpose(2, 3).flatten(3)  # (B, N, n, W)
            coded.append(((blocks - mean[:, None]) @ code).mT.flatten(1, 2))
        return torch.cat(coded, 1)

    def vectors(self, planes: Planes, heads: int) -> tuple[Tensor, Tensor]:
        """Return keys and values of H heads, (B, H, n, D) in float32; channels without a bit cost nothing."""
        found = []
        sizes = [mean.numel() for mean in self.means]
        parts = zip(planes.open().split(sizes, 1), planes.bits.split(sizes), self.means, self.back, strict=True)
        for part, bits, mean, back in parts:
            if len(mean) == 1:
                live = bits > 0
                blocks = (part[:, live].mT @ back[0, live])[:, None] + mean[:, None]
            else:
                blocks = part.unflatten(1, mean.shape).mT @ back + mean[:, None]  # (B, N, n, W)
            found.append(blocks.unflatten(3, (heads // len(mean), -1)).transpose(2, 3).flatten(1, 2))
        return found[0], found[1]


@dataclass(frozen=True)
class CodedPart:
    """Consecutive entries: the first as they are, the others coded. Equal rows (beams) are held once."""

    code: Code
    keys: Tensor  # (rows, H, s, D)
    values: Tensor
    planes: Planes
    at: Tensor | None = None  # (B,): the row that holds each row of the batch; None: its own

    def __len__(self) -> int:
        return int(self.keys.shape[2]) + self.planes.count

    def can_join(self, later: CodedPart) -> bool:
        """Return False: each part has bits of its own."""
        return False

    def joined(self, later: CodedPart) -> CodedPart:
        """Raise InvalidInput: each part has bits of its own."""
        raise InvalidInput("parts of a transform coding have bits of their own and cannot be joined.")

    def open_into(self, keys: Tensor, values: Tensor) -> None:
        """Write keys and values, rounded, into tensors (B, H, n, D)."""
        first, coded = self.keys.shape[2], self.code.vectors(self.planes, self.keys.shape[1])
        for into, exact, rounded in zip((keys, values), (self.keys, self.values), coded, strict=True):
            into[:, :, :first] = exact if self.at is None else exact.index_select(0, self.at)
            into[:, :, first:] = rounded if self.at is None else rounded.index_select(0, self.at)

    def rows(self, index: Tensor) -> CodedPart:
        """Return the part for some rows of the batch."""
        index = index.to(self.keys.device)
        used, at = (index if self.at is None else self.at.index_select(0, index)).unique(return_inverse=True)
        if len(used) == len(self.keys):
            return replace(self, at=at)
        exact = [t.index_select(0, used) for t in (self.keys, self.values)]
        return CodedPart(self.code, exact[0], exact[1], self.planes.rows(used), at)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors but the code."""
        own = 0 if self.at is None else self.at.nbytes
        return int(self.keys.nbytes + self.values.nbytes + own) + self.planes.nbytes


class TransformStore(PackedStore):
    """The store of `TransformCoding`: once the prompt has been read, its keys are those of position 0."""

    def __init__(self, method: TransformCoding, code: Code, rotary: Rotary | None) -> None:
        super().__init__(method.residual, method.group)
        self.code, self.rotary, self.sinks, self.share = code, rotary, method.sinks, method.share
        self.bits = method.bits

    def put(self, new: Entries) -> None:
        """Append the entries of a call."""
        if self.frame is not None:
            at = new.positions() if new.position_ids is not None else new.positions() + len(self.frame)
            new = replace(new, keys=self._turned(new.keys, -at))
        super().put(new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries, the packed ones unpacked; O(T D^2)."""
        entries = super().read(query, start)
        if self.frame is None:
            return entries
        return replace(entries, keys=self._turned(entries.keys, entries.positions()))

    def on_prefill_end(self) -> None:
        """Pack what is left of the prompt."""
        if (entries := self.entries) is not None:
            if self.share is not None:
                self.bits = self._affordable(self.share, len(entries), torch.finfo(entries.keys.dtype).bits)
            self.entries = replace(entries, keys=self._turned(entries.keys, -entries.positions()))
        super().on_prefill_end()

    def _pack_oldest(self, count: int) -> None:
        if self.parts or count >= min(self.group, self.sinks + SHORTEST):
            super()._pack_oldest(count)

    def pack(self, keys: Tensor, values: Tensor) -> CodedPart:
        """Return the entries in few bits, but for the sinks of the first part."""
        first = 0 if self.parts else self.sinks
        channels = self.code.channels(keys[:, :, first:], values[:, :, first:])
        variance = channels.square().mean((0, 2))
        side = self.code.means[0].numel()
        # an error in a logit moves the output by as much as values differ
        weight = torch.ones_like(variance)
        weight[:side] = variance[side:].sum()
        planes = Planes.of(channels, widths(variance * weight, self.bits))
        return CodedPart(self.code, keys[:, :, :first].clone(), values[:, :, :first].clone(), planes)

    def _affordable(self, share: float, count: int, width: int) -> float:
        """Return the bits per number at which `count` entries fit into a share of those of `width` bits."""
        rest = max(count - self.sinks, 1)
        room = share * count * width - min(self.sinks, count) * width - TABLES
        return min(float(MOST), max(LEAST, room / (-(-rest // 8) * 8)))

    def _turned(self, keys: Tensor, by: Tensor) -> Tensor:
        return keys if self.rotary is None else self.rotary.shift(keys, by.long())
