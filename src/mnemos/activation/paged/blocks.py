"""The tensors of a pool: keys and values in blocks, one tensor a layer.

Shapes: H key/value heads, N blocks, S tokens of a block, D head width, T entries of a sequence, n new entries, q queries,
G query heads a key/value head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mnemos.activation.paged.softmax import Visibility, attend, merge
from mnemos.activation.paged.table import spans


class Blocks:
    """Keys and values of all layers, found by the numbers of blocks; who holds which block is not its business."""

    layers: list[
        Tensor
    ]  # (2, H, N, S, D) each: heads before blocks, so that neighbouring blocks are one view (H, T, D)

    def __init__(
        self, count: int, layers: int, heads: int, width: int, size: int, dtype: torch.dtype, device: str | torch.device
    ) -> None:
        """Reserve the memory of `count` blocks: zeros, since what is masked must be a number, and pages not yet touched."""
        self.size = size
        self.layers = [torch.zeros((2, heads, count, size, width), dtype=dtype, device=device) for _ in range(layers)]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        device: torch.device = self.layers[0].device
        return device

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return sum(x.nbytes for x in self.layers)

    def index(self, blocks: Sequence[int]) -> Tensor:
        """Return the numbers of blocks as a tensor."""
        return torch.tensor(blocks, dtype=torch.long, device=self.device)

    def slots(self, blocks: Sequence[int], start: int, n: int) -> Tensor:
        """Return where entries `start` to `start + n` of a sequence are, as if all blocks were one row (n,)."""
        at = torch.arange(start, start + n, device=self.device)
        return self.index(blocks)[at // self.size] * self.size + at % self.size

    def write(self, layer: int, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write keys and values (H, n, D) to slots (n,)."""
        store = self.layers[layer]
        rows = store.view(2, store.shape[1], -1, store.shape[4])
        rows[0].index_copy_(1, slots, keys.to(store))
        rows[1].index_copy_(1, slots, values.to(store))

    def view(self, layer: int, first: int, n: int) -> tuple[Tensor, Tensor]:
        """Return keys and values (H, n * S, D) of neighbouring blocks, in place."""
        keys, values = self.layers[layer][:, :, first : first + n].flatten(2, 3)
        return keys, values

    def gather(self, layer: int, blocks: Tensor, length: int | None = None) -> tuple[Tensor, Tensor]:
        """Return copies of the keys and values (H, T, D) of blocks, the first `length` of them."""
        keys, values = self.layers[layer].index_select(2, blocks).flatten(2, 3)[:, :, :length]
        return keys, values

    def save(self, blocks: Sequence[int]) -> Tensor:
        """Return a copy of blocks of all layers, (layers, 2, H, blocks, S, D)."""
        index = self.index(blocks)
        return torch.stack([layer.index_select(2, index) for layer in self.layers])

    def load(self, blocks: Sequence[int], saved: Tensor) -> None:
        """Write back what `save` returned."""
        index = self.index(blocks)
        for layer, data in zip(self.layers, saved, strict=True):
            layer.index_copy_(2, index, data.to(layer))

    def copy(self, source: int, target: int) -> None:
        """Copy a block."""
        for layer in self.layers:
            layer[:, :, target] = layer[:, :, source]

    def wipe(self, blocks: Sequence[int]) -> None:
        """Overwrite blocks with zeros."""
        index = self.index(blocks)
        for layer in self.layers:
            layer.index_fill_(2, index, 0)

    def attend(
        self, layer: int, blocks: Sequence[int], length: int, query: Tensor, offset: int | None, scale: float | None
    ) -> tuple[Tensor, Tensor]:
        """Return (output (G*H, q, D), log-sum-exp (G*H, q)) over the first `length` entries of a table.

        With `offset`, query i is at position offset + i and sees no later one. Neighbouring blocks are read in place as
        one run; scattered ones are gathered into copies of bounded size, and evicted ones are skipped.
        """
        outputs, lses = [], []
        for at, n, run in spans(blocks):
            start, part = at * self.size, list(blocks[at : at + n])
            keys, values = self.view(layer, part[0], n) if run else self.gather(layer, self.index(part))
            keys, values = keys[:, : length - start], values[:, : length - start]
            visible = Visibility(None if offset is None else offset - start)
            output, lse = attend(query[None], keys[None], values[None], visible, scale)
            outputs.append(output[0])
            lses.append(lse[0])
        return merge(outputs, lses)
