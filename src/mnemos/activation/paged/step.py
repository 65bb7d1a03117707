"""One call of a model over a pool: where new keys and values are written, and what each sequence attends to.

Shapes: B sequences, H key/value heads, G query heads a key/value head, q new tokens of each, T entries, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mnemos.activation.paged.pool import Pool
from mnemos.activation.paged.relay import SharedPrefix
from mnemos.activation.paged.softmax import Visibility
from mnemos.activation.paged.table import EVICTED

RELAY = 4  # blocks that sequences share from which on they are read once for all


class Step:
    """The sequences of a call, each grown by `q` tokens that no layer has written yet. Valid for that call."""

    def __init__(self, pool: Pool, names: Sequence[str], q: int) -> None:
        self.pool, self.q, self.rows = pool, q, len(names)
        self.ends = [pool.length(name) for name in names]
        self.slots = torch.cat([pool.slots(name, end - q, q) for name, end in zip(names, self.ends, strict=True)])
        tables = [pool.table(name) or () for name in names]
        self.held = [[b for b in table if b != EVICTED] for table in tables]
        self.positions = [self._positions(table, end) for table, end in zip(tables, self.ends, strict=True)]
        self.shared: list[int] = []  # blocks that all sequences begin with
        self.own = self.mask = torch.empty(0)
        if q == 1 and self.rows > 1:
            self._plan()

    def _positions(self, table: Sequence[int], end: int) -> Tensor:
        """Return the positions of the entries that a sequence holds, (T,)."""
        size, device = self.pool.size, self.pool.tensors.device
        pages = torch.tensor([i for i, block in enumerate(table) if block != EVICTED], device=device)
        at = (pages[:, None] * size + torch.arange(size, device=device)).flatten()
        return at[at < end]

    def _plan(self) -> None:
        """Find what the sequences share, and pad what each has beside it to one length."""
        alike = list(takewhile(lambda column: len(set(column)) == 1, zip(*self.held, strict=False)))
        n = min(len(alike), min(map(len, self.held)) - 1)  # each has its last block for itself
        self.shared = self.held[0][: n if n >= RELAY else 0]
        own = [blocks[len(self.shared) :] for blocks in self.held]
        most = max(map(len, own))
        device = self.pool.tensors.device
        self.own = torch.tensor([blocks + [blocks[0]] * (most - len(blocks)) for blocks in own], device=device)
        before = len(self.shared) * self.pool.size
        lengths = torch.tensor([len(p) - before for p in self.positions], device=device)
        self.mask = torch.arange(most * self.pool.size, device=device) < lengths[:, None]  # (B, T)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Write the keys and values (B, H, q, D) of a layer."""
        flat = [x.transpose(0, 1).flatten(1, 2) for x in (keys, values)]
        self.pool.tensors.write(layer, self.slots, flat[0], flat[1])

    def attend(self, layer: int, query: Tensor, scale: float, window: int | None) -> Tensor:
        """Return the attention output (B, G*H, q, D) of `query` (B, G*H, q, D) over what each sequence holds.

        A query sees entries up to its own position, and with a `window` only the last ones.
        """
        if self.q > 1 or self.rows == 1 or (window is not None and max(self.ends) > window):
            rows = [self._alone(layer, b, query[b : b + 1], scale, window) for b in range(self.rows)]
            return torch.cat(rows)
        keys, values = self._padded(layer)
        if not self.shared:
            mask = self.mask[:, None, None]
            return scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale, enable_gqa=True)
        visible = Visibility(mask=self.mask[:, None, None])
        return self._prefix(layer).attend(query, keys, values, visible, scale)[0]

    def _alone(self, layer: int, row: int, query: Tensor, scale: float, window: int | None) -> Tensor:
        """Attend with one sequence, to a copy of its pages."""
        positions, tensors = self.positions[row], self.pool.tensors
        keys, values = tensors.gather(layer, tensors.index(self.held[row]), len(positions))
        options: dict[str, Any] = {"is_causal": True} if self.q == self.ends[row] and window is None else {}
        if not options and (self.q > 1 or window is not None):
            at = torch.arange(self.ends[row] - self.q, self.ends[row], device=query.device)[:, None]
            seen = positions <= at
            options = {"attn_mask": (seen if window is None else seen & (positions > at - window))[None, None]}
        return scaled_dot_product_attention(query, keys[None], values[None], scale=scale, enable_gqa=True, **options)

    def _padded(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return copies of the keys and values (B, H, T, D) that each sequence has for itself."""
        keys, values = self.pool.tensors.gather(layer, self.own.flatten())
        h, _, d = keys.shape
        return keys.view(h, self.rows, -1, d).transpose(0, 1), values.view(h, self.rows, -1, d).transpose(0, 1)

    def _prefix(self, layer: int) -> SharedPrefix:
        first, n, tensors = self.shared[0], len(self.shared), self.pool.tensors
        if self.shared == list(range(first, first + n)):
            return SharedPrefix(*tensors.view(layer, first, n))
        return SharedPrefix(*tensors.gather(layer, tensors.index(self.shared)))
