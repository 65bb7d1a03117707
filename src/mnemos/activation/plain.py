"""The null implementations: entries as they are, and eviction that frees them."""

from __future__ import annotations

from torch import Tensor

from mnemos.activation.base import LayerView, Setup
from mnemos.activation.entries import Entries


class Plain:
    """Holds entries as they are."""

    def __init__(self, entries: Entries | None = None) -> None:
        self.entries = entries

    def put(self, new: Entries) -> None:
        """Append entries; O(q), and O(T) once in T / 32 tokens."""
        self.entries = new.owned() if self.entries is None else self.entries.joined(new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries."""
        assert self.entries is not None
        return self.entries

    def replace(self, entries: Entries) -> None:
        """Hold these entries instead."""
        self.entries = entries

    def trim(self, sinks: int, count: int) -> None:
        """Drop `count` entries behind the first `sinks`; O(sinks)."""
        assert self.entries is not None
        self.entries = self.entries.trimmed(sinks, count)

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.entries is not None:
            self.entries = self.entries.rows(index)

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`."""
        if self.entries is not None:
            self.entries = self.entries.first(self.entries.before(end))

    def on_prefill_end(self) -> None:
        """Do nothing."""

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return 0 if self.entries is None else self.entries.nbytes

    @property
    def held(self) -> int:
        """Number of entries."""
        return 0 if self.entries is None else len(self.entries)


def plain(setup: Setup) -> Plain:
    """Return a store that holds entries as they are: the default of a cache method."""
    return Plain()


class Drop:
    """Frees the entries that are not kept."""

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return the entries at `keep`."""
        return view.entries.gather(keep)
