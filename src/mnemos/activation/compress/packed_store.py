"""What the stores of this room share: plain entries while the prompt is read, another form for what stays of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from mnemos.activation.entries import Entries
from mnemos.errors import InvalidInput

SHORT = 2**15  # positions below this fit into two bytes


class Part(Protocol):
    """Keys and values of some consecutive entries, in a form of its own."""

    def open(self) -> tuple[Tensor, Tensor]:
        """Return keys and values, (B, H, n, D)."""
        ...

    def rows(self, index: Tensor) -> Any:
        """Return the part for some rows of the batch, in that order."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


def bare(entries: Entries) -> Entries:
    """Return all but keys and values (their D is 0): positions in two bytes where they fit, padding, bias, what is remembered."""
    positions = entries.position_ids
    if positions is not None and positions.numel() and int(positions.max()) < SHORT:
        positions = positions.to(torch.int16)
    nothing = [t.new_empty(*t.shape[:3], 0) for t in (entries.keys, entries.values)]
    return replace(entries, keys=nothing[0], values=nothing[1], position_ids=positions)


class PackedStore:
    """A store that holds entries plainly while the prompt is read, and then the older ones as parts that never change again.

    What a prompt leaves is packed once, all but the `residual` newest; later, `group` entries at a time when there are
    `residual + group` plain ones, before the next call. So whatever a call reads is attended to in full by that call.
    A subclass says what a part is (`pack`). Raises InvalidInput for methods that let go of entries while generating.
    """

    def __init__(self, residual: int, group: int) -> None:
        self.residual, self.group = residual, group
        self.entries: Entries | None = None  # all, while the prompt is read
        self.frame: Entries | None = None  # then: all but keys and values
        self.parts: list[Part] = []
        self.keys = self.values = torch.empty(0)  # of the entries after the parts, (B, H, n, D)

    def pack(self, keys: Tensor, values: Tensor) -> Part:
        """Return the oldest plain entries, (B, H, n, D), in another form."""
        raise NotImplementedError

    def put(self, new: Entries) -> None:
        """Append the entries of a call."""
        if self.frame is None:
            self.entries = new.owned() if self.entries is None else self.entries.joined(new)
            return
        while self.keys.shape[2] >= self.residual + self.group:
            self._flush(self.group)
        self.frame = self.frame.joined(bare(new))
        self.keys, self.values = torch.cat((self.keys, new.keys), 2), torch.cat((self.values, new.values), 2)

    def _flush(self, count: int) -> None:
        self.parts.append(self.pack(self.keys[:, :, :count], self.values[:, :, :count]))
        self.keys, self.values = self.keys[:, :, count:].clone(), self.values[:, :, count:].clone()

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all, those of the parts as they come back; O(T D)."""
        if self.frame is None:
            assert self.entries is not None
            return self.entries
        opened = [part.open() for part in self.parts] + [(self.keys, self.values)]
        keys, values = (torch.cat([pair[i] for pair in opened], 2) for i in (0, 1))
        return replace(self.frame, keys=keys, values=values)

    def replace(self, entries: Entries) -> None:
        """Hold these instead, while the prompt is being read."""
        if self.frame is not None:
            raise InvalidInput(
                f"{type(self).__name__} holds what the prompt left for good: use a method without `decode`."
            )
        self.entries = entries

    def on_prefill_end(self) -> None:
        """Pack what the prompt left."""
        if self.entries is None or self.frame is not None:
            return
        entries, self.entries = self.entries, None
        self.frame, self.keys, self.values = bare(entries), entries.keys, entries.values
        if (count := len(entries) - self.residual) > 0:
            self._flush(count)

    def rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.entries is not None:
            self.entries = self.entries.rows(index)
        if self.frame is not None:
            self.frame, self.parts = self.frame.rows(index), [part.rows(index) for part in self.parts]
            self.keys, self.values = (t.index_select(0, index.to(t.device)) for t in (self.keys, self.values))

    def crop(self, end: int) -> None:
        """Let go of what stands at or after position `end`. Raises InvalidInput where that is in a part."""
        if self.frame is None:
            if self.entries is not None:
                self.entries = self.entries.first(self.entries.before(end))
            return
        count = self.frame.before(end)
        left = count - (len(self.frame) - self.keys.shape[2])
        if left < 0:
            raise InvalidInput(f"{-left} entries to let go of are packed together with others: give a larger residual.")
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
        """Entries held."""
        held = self.entries if self.frame is None else self.frame
        return 0 if held is None else len(held)
