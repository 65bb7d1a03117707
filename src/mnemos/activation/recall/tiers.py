"""The two tiers under a past that is fetched: a slow one with all entries, a fast one with copies of a few blocks.

B batch, H key/value heads, U units that choose blocks for themselves (1: all heads together, or H), D head width, E =
keys and values of an entry side by side (2 D), l entries of the largest block, k blocks chosen, N blocks.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

BlockEviction = Literal["lru", "score"]


@dataclass(frozen=True)
class Tiers:
    """Where blocks are held: all of them in the slow tier, copies of a few in the fast one."""

    room: int = 32  # blocks in the fast tier, of each layer and unit
    eviction: BlockEviction = (
        "lru"  # which block leaves the fast tier: the one unused longest, or the least attended to
    )
    decay: float = 0.1  # with "score": what is left of a block's attention after each call
    folder: Path | None = None  # the slow tier is a file in this folder; None: RAM


class SlowTier:
    """Keys and values in the order of the text, in RAM or, with a `folder`, in a file there.

    Entries can be appended and read by index, never changed. The file is removed with the object.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.count = 0
        self._data = torch.empty(0)  # (room, B, H, E)
        self._width = 0  # of the keys
        self._file: Path | None = None

    def append(self, keys: Tensor, values: Tensor) -> None:
        """Append entries (B, H, n, D); O(n), on average."""
        new = torch.cat((keys, values), -1).permute(2, 0, 1, 3).cpu()
        if self.count + len(new) > len(self._data):
            self._grow(max(self.count + len(new), int(1.5 * self.count)), new)
        self._data[self.count : self.count + len(new)] = new
        self.count += len(new)
        self._width = keys.shape[3]

    def _grow(self, room: int, like: Tensor) -> None:
        old, size = self._data[: self.count], (room, *like.shape[1:])
        if self.folder is None:
            self._data = like.new_empty(size)
        else:
            if self._file is None:
                handle, name = tempfile.mkstemp(prefix="mnemos-", suffix=".kv", dir=self.folder)
                os.close(handle)
                self._file = Path(name)
                weakref.finalize(self, self._file.unlink, True)
            total = room * like[0].numel()
            os.truncate(self._file, total * like.element_size())
            self._data = torch.from_file(str(self._file), True, total, dtype=like.dtype).view(size)
            return  # what was written before is in the file
        if self.count:
            self._data[: self.count] = old

    def take(self, index: Tensor) -> Tensor:
        """Return the entries at `index` (B, H, n), of each head its own, as (B, H, n, E)."""
        rows = torch.arange(index.shape[0])[:, None, None]
        heads = torch.arange(index.shape[1])[None, :, None]
        return self.take_of(index, rows, heads)

    def take_of(self, index: Tensor, rows: Tensor, heads: Tensor) -> Tensor:
        """Return the entries at `index` of the given rows and heads; shapes broadcast as in indexing."""
        return self._data[index.cpu(), rows.cpu(), heads.cpu()]

    def split(self, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of (…, E)."""
        return taken[..., : self._width], taken[..., self._width :]

    @property
    def dtype(self) -> torch.dtype:
        """Of the entries."""
        return self._data.dtype

    @property
    def width(self) -> int:
        """E."""
        return int(self._data.shape[-1])

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.count:
            kept = self._data[: self.count].index_select(1, index.cpu())
            self._data, self._file = torch.empty(0, dtype=kept.dtype), None
            count, self.count = self.count, 0
            self._grow(count, kept)
            self._data[:count] = kept
            self.count = count

    @property
    def nbytes(self) -> int:
        """Bytes of RAM or disk, the room for later entries included."""
        return int(self._data.numel() * self._data.element_size())

    def __deepcopy__(self, memo: dict[int, Any]) -> SlowTier:
        new = SlowTier(self.folder)
        if self.count:
            new._grow(self.count, self._data)
            new._data[: self.count] = self._data[: self.count]
            new.count, new._width = self.count, self._width
        return new


class FastTier:
    """Copies of blocks, at most `room` for each row and unit; one is evicted when another needs its place.

    `eviction` "lru" evicts the block unused longest, "score" the one with the least attention so far, of which `decay`
    is left after each call (InfLLM §3.3). `hits` and `loads` count the blocks found here, or loaded from the slow tier.
    """

    def __init__(self, room: int, eviction: BlockEviction = "lru", decay: float = 0.1) -> None:
        self.room, self.eviction, self.decay = room, eviction, decay
        self.hits = self.loads = 0
        self.calls = 0
        self.data: Tensor | None = None  # (B, H, room, l, E)
        self.where: list[list[dict[int, int]]] = []  # by row and unit: block -> its place here
        self.worth: list[list[dict[int, float]]] = []  # by row and unit: block -> the larger, the later it is evicted

    def fetch(self, slow: SlowTier, chosen: list[list[list[int]]], starts: Tensor, size: int, heads: int) -> Tensor:
        """Return blocks as (B, H, k, size, E).

        `chosen` are the blocks of each row and unit, at most `room` (-1: none, its result means nothing), `starts` (B,
        N) where blocks begin in the slow tier.
        """
        batch, units, self.calls = len(chosen), len(chosen[0]), self.calls + 1
        if not self.where:
            self.where = [[{} for _ in range(units)] for _ in range(batch)]
            self.worth = [[{} for _ in range(units)] for _ in range(batch)]
        places = torch.zeros(batch, units, len(chosen[0][0]), dtype=torch.long)
        missing: list[tuple[int, ...]] = []
        for row in range(batch):
            for unit in range(units):
                where, wanted = self.where[row][unit], chosen[row][unit]
                for at, block in enumerate(wanted):
                    if block < 0:
                        continue
                    if block in where:
                        self.hits += 1
                    else:
                        self.loads += 1
                        where[block] = self._free(row, unit, wanted)
                        missing.append((row, unit, block, where[block]))
                    places[row, unit, at] = where[block]
                    self.worth[row][unit].setdefault(block, 0.0)
                    if self.eviction == "lru":
                        self.worth[row][unit][block] = self.calls
        data = self._load(slow, missing, starts, size, heads, units)
        places = places.to(data.device)
        index = places.expand(-1, heads, -1)[..., None, None].expand(-1, -1, -1, *data.shape[3:])
        return data.gather(2, index)[:, :, :, :size]

    def _free(self, row: int, unit: int, wanted: list[int]) -> int:
        """Return a free place, evicting a block that is not wanted now if there is none."""
        where, worth = self.where[row][unit], self.worth[row][unit]
        if len(where) < self.room:
            return len(where)
        evicted = min((block for block in where if block not in wanted), key=lambda block: worth[block])
        del worth[evicted]
        return where.pop(evicted)

    def _load(
        self, slow: SlowTier, missing: list[tuple[int, ...]], starts: Tensor, size: int, heads: int, units: int
    ) -> Tensor:
        data = self.data
        if data is None or data.shape[3] < size:
            old, batch = data, len(self.where)
            data = torch.zeros(batch, heads, self.room, size, slow.width, dtype=slow.dtype, device=starts.device)
            if old is not None:
                data[:, :, :, : old.shape[3]] = old
            self.data = data
        if missing:
            rows, unit, block, place = torch.tensor(missing).T
            index = starts.cpu()[rows, block][:, None] + torch.arange(size)
            index = index.clamp(max=slow.count - 1)[
                :, None, :
            ]  # (M, 1, size); what is behind a block's end is not seen
            of = torch.arange(heads)[None] if units == 1 else unit[:, None]  # (1 or M, heads or 1)
            taken = slow.take_of(index, rows[:, None, None], of[..., None]).to(data.device)
            data[rows[:, None], of, place[:, None], :size] = taken
        return data

    def attended(self, chosen: list[list[list[int]]], mass: Tensor) -> None:
        """Learn the attention (B, U, k) that the chosen blocks received in this call."""
        if self.eviction != "score":
            return
        for row, units in enumerate(chosen):
            for unit, wanted in enumerate(units):
                worth = self.worth[row][unit]
                for block in worth:
                    worth[block] *= self.decay
                for block, got in zip(wanted, mass[row, unit].tolist(), strict=True):
                    if block >= 0:
                        worth[block] += got

    def clear(self) -> None:
        """Remove all blocks: rows of the batch have moved."""
        self.data, self.where, self.worth = None, [], []

    @property
    def nbytes(self) -> int:
        """Bytes of the copies."""
        return 0 if self.data is None else self.data.numel() * self.data.element_size()
