"""The two tiers under a memory that is fetched: a slow one that holds all entries, a fast one that holds a few blocks.

B batch, H key/value heads, U units that choose blocks for themselves (1: all heads together, or H), D head width, E = keys
and values of an entry side by side (2 D), l entries of the largest block, k blocks chosen.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

Policy = Literal["lru", "score"]


class Shelf:
    """The slow tier: keys and values in the order of the text, in RAM or, with a `folder`, in a file there.

    Entries can be appended and read by index, never changed. The file is removed with the shelf.
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
        """Return the entries at `index` (B, H, n), each head's own, as (B, H, n, E)."""
        index = index.cpu()
        rows = torch.arange(index.shape[0])[:, None, None]
        heads = torch.arange(index.shape[1])[None, :, None]
        return self._data[index, rows, heads]

    def some(self, index: Tensor, rows: Tensor, heads: Tensor) -> Tensor:
        """Return the entries at `index` of the given rows and heads; shapes as by indexing."""
        return self._data[index.cpu(), rows.cpu(), heads.cpu()]

    def split(self, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of (…, E)."""
        return taken[..., : self._width], taken[..., self._width :]

    def rows(self, index: Tensor) -> None:
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
        """Bytes of RAM or disk, with the room for what comes next."""
        return int(self._data.numel() * self._data.element_size())

    def __deepcopy__(self, memo: dict[int, Any]) -> Shelf:
        new = Shelf(self.folder)
        if self.count:
            new._grow(self.count, self._data)
            new._data[: self.count] = self._data[: self.count]
            new.count, new._width = self.count, self._width
        return new


class Fast:
    """The fast tier's copies of blocks, at most `room` for each unit, and which goes when another comes.

    `policy` "lru": the one not asked for the longest. "score": the one with the least attention so far, which fades by
    `fade` with every call (InfLLM §3.3). `hits` and `loads` count blocks that were here, or came from the slow tier.
    """

    def __init__(self, room: int, policy: Policy = "lru", fade: float = 0.1) -> None:
        self.room, self.policy, self.fade = room, policy, fade
        self.hits = self.loads = 0
        self.calls = 0
        self.data: Tensor | None = None  # (B, H, room, l, E)
        self.where: list[list[dict[int, int]]] = []  # by row and unit: block -> its place here
        self.worth: list[list[dict[int, float]]] = []  # by row and unit: block -> the larger the longer it stays

    def fetch(self, shelf: Shelf, chosen: list[list[list[int]]], starts: Tensor, size: int, heads: int) -> Tensor:
        """Return blocks as (B, H, k, size, E).

        `chosen` are the blocks of each row and unit, at most `room` (-1: none, what stands there means nothing), `starts`
        (B, N) where blocks begin in the slow tier.
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
                    if self.policy == "lru":
                        self.worth[row][unit][block] = self.calls
        self._load(shelf, missing, starts, size, heads, units)
        assert self.data is not None
        places = places.to(self.data.device)
        index = places.expand(-1, heads, -1)[..., None, None].expand(-1, -1, -1, *self.data.shape[3:])
        return self.data.gather(2, index)[:, :, :, :size]

    def _free(self, row: int, unit: int, wanted: list[int]) -> int:
        where, worth = self.where[row][unit], self.worth[row][unit]
        if len(where) < self.room:
            return len(where)
        goes = min((block for block in where if block not in wanted), key=lambda block: worth[block])
        del worth[goes]
        return where.pop(goes)

    def _load(
        self, shelf: Shelf, missing: list[tuple[int, ...]], starts: Tensor, size: int, heads: int, units: int
    ) -> None:
        if self.data is None or self.data.shape[3] < size:
            old, batch = self.data, len(self.where)
            empty = torch.zeros(1, 1, 1, dtype=torch.long)
            width = shelf.some(empty, empty, empty).shape[-1]
            self.data = torch.zeros(batch, heads, self.room, size, width, dtype=shelf._data.dtype, device=starts.device)
            if old is not None:
                self.data[:, :, :, : old.shape[3]] = old
        if not missing:
            return
        rows, unit, block, place = torch.tensor(missing).T
        index = starts.cpu()[rows, block][:, None] + torch.arange(size)
        index = index.clamp(max=shelf.count - 1)[:, None, :]  # (M, 1, size); what lies behind a block's end is not seen
        of = torch.arange(heads)[None] if units == 1 else unit[:, None]  # (1 or M, heads or 1)
        taken = shelf.some(index, rows[:, None, None], of[..., None]).to(self.data.device)
        self.data[rows[:, None], of, place[:, None], :size] = taken

    def attended(self, chosen: list[list[list[int]]], mass: Tensor) -> None:
        """Learn the attention (B, U, k) that the chosen blocks got in this call."""
        if self.policy != "score":
            return
        for row, units in enumerate(chosen):
            for unit, wanted in enumerate(units):
                worth = self.worth[row][unit]
                for block in worth:
                    worth[block] *= self.fade
                for block, got in zip(wanted, mass[row, unit].tolist(), strict=True):
                    if block >= 0:
                        worth[block] += got

    def clear(self) -> None:
        """Let go of all blocks: rows have moved."""
        self.data, self.where, self.worth = None, [], []

    @property
    def nbytes(self) -> int:
        """Bytes of the fast tier's copies."""
        return 0 if self.data is None else self.data.numel() * self.data.element_size()
