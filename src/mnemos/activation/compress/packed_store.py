"""The base of the stores that compress a prompt: entries as they are while it is read, packed parts afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Protocol, Self

import torch
from torch import Tensor

from mnemos.activation.entries import Entries
from mnemos.errors import InvalidInput

SHORT = 2**15  # positions below this fit into two bytes


class PackedPart(Protocol):
    """Keys and values of consecutive entries, in another form."""

    def __len__(self) -> int:
        """Return the number of entries, n."""
        ...

    def can_join(self, later: Self) -> bool:
        """Return whether a part that was packed later can be `joined`."""
        ...

    def joined(self, later: Self) -> Self:
        """Return one part of both; nothing is rounded again."""
        ...

    def open_into(self, keys: Tensor, values: Tensor) -> None:
        """Write keys and values into tensors (B, H, n, D)."""
        ...

    def rows(self, index: Tensor) -> Self:
        """Return the part for some rows of the batch, in that order."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


def without_vectors(entries: Entries) -> Entries:
    """Return entries whose keys and values have no channels (D is 0), and positions in two bytes where they fit."""
    positions = entries.position_ids
    if positions is not None and positions.numel() and int(positions.max()) < SHORT:
        positions = positions.to(torch.int16)
    keys, values = (t.new_empty(*t.shape[:3], 0) for t in (entries.keys, entries.values))
    return replace(entries, keys=keys, values=values, position_ids=positions)


class PackedStore(ABC):
    """Holds entries as they are while the prompt is read, then the older ones as parts that never change again.

    When the prompt ends, all but the `residual` newest entries are packed; later, `group` entries at a time once there
    are `residual + group` unpacked ones, before the next call: whatever a call reads is attended to unpacked by that
    call. A subclass implements `pack`. Raises InvalidInput for methods that evict while generating.
    """

    def __init__(self, residual: int, group: int) -> None:
        self.residual, self.group = residual, group
        self.entries: Entries | None = None  # all, while the prompt is read
        self.frame: Entries | None = None  # afterwards: all, without keys and values
        self.parts: list[PackedPart] = []
        self.keys = self.values = torch.empty(0)  # of the entries after the parts, (B, H, n, D)

    @abstractmethod
    def pack(self, keys: Tensor, values: Tensor) -> PackedPart:
        """Return the oldest unpacked entries, (B, H, n, D), in another form."""

    def put(self, new: Entries) -> None:
        """Append the entries of a call."""
        if self.frame is None:
            self.entries = new.owned() if self.entries is None else self.entries.joined(new)
            return
        self._pack_groups()
        self.frame = self.frame.joined(without_vectors(new))
        self.keys, self.values = torch.cat((self.keys, new.keys), 2), torch.cat((self.values, new.values), 2)

    def _pack_groups(self) -> None:
        while self.keys.shape[2] >= self.residual + self.group:
            self._pack_oldest(self.group)

    def _pack_oldest(self, count: int) -> None:
        part = self.pack(self.keys[:, :, :count], self.values[:, :, :count])
        if self.parts and self.parts[-1].can_join(part):
            self.parts[-1] = self.parts[-1].joined(part)
        else:
            self.parts.append(part)
        self.keys, self.values = self.keys[:, :, count:].clone(), self.values[:, :, count:].clone()

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries, the packed ones unpacked until the layer has attended; O(T D)."""
        if self.frame is None:
            assert self.entries is not None
            return self.entries
        keys, values = (t.new_empty(*t.shape[:2], len(self.frame), t.shape[3]) for t in (self.keys, self.values))
        end = 0
        for part in self.parts:
            first, end = end, end + len(part)
            part.open_into(keys[:, :, first:end], values[:, :, first:end])
        keys[:, :, end:], values[:, :, end:] = self.keys, self.values
        return replace(self.frame, keys=keys, values=values)

    def reopen(self) -> None:
        """Hold all entries unpacked until the prompt ends. What is packed again is rounded again."""
        if self.frame is not None:
            self.entries, self.frame, self.parts = self.read(torch.empty(0), 0), None, []
            self.keys = self.values = torch.empty(0)

    def replace(self, entries: Entries) -> None:
        """Hold these entries instead. Raises InvalidInput once the prompt has been read."""
        if self.frame is not None:
            raise InvalidInput(
                f"{type(self).__name__} has packed the prompt and can evict no single entries: "
                "use a method without `decode`."
            )
        self.entries = entries

    def on_prefill_end(self) -> None:
        """Pack what is left of the prompt; of a later one from which nothing was evicted, whole groups."""
        if self.frame is not None:
            self._pack_groups()
        if self.entries is None:
            return
        entries, self.entries = self.entries, None
        self.frame, self.keys, self.values = without_vectors(entries), entries.keys, entries.values
        if (count := len(entries) - self.residual) > 0:
            self._pack_oldest(count)

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.entries is not None:
            self.entries = self.entries.rows(index)
        if self.frame is not None:
            self.frame, self.parts = self.frame.rows(index), [part.rows(index) for part in self.parts]
            self.keys, self.values = (t.index_select(0, index.to(t.device)) for t in (self.keys, self.values))

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`. Raises InvalidInput where one of them is packed."""
        if self.frame is None:
            if self.entries is not None:
                self.entries = self.entries.first(self.entries.before(end))
            return
        count = self.frame.before(end)
        left = count - (len(self.frame) - self.keys.shape[2])
        if left < 0:
            raise InvalidInput(
                f"{-left} of the entries to remove are packed together with others: give a larger residual."
            )
        self.frame = self.frame.first(count)
        self.keys, self.values = self.keys[:, :, :left].clone(), self.values[:, :, :left].clone()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        if self.frame is None:
            return 0 if self.entries is None else self.entries.nbytes
        return int(self.frame.nbytes + self.keys.nbytes + self.values.nbytes) + sum(part.nbytes for part in self.parts)

    @property
    def held(self) -> int:
        """Number of entries."""
        held = self.entries if self.frame is None else self.frame
        return 0 if held is None else len(held)
