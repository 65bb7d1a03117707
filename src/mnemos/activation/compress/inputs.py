"""A store of what layers read, from which their keys and values are computed again.

B batch, T tokens, W width of what a layer reads, H key/value heads, D head width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mnemos.activation.compress.bits import WIDTHS, Packed, opened, pack, rows_of
from mnemos.activation.compress.packed_store import bare
from mnemos.activation.entries import Entries
from mnemos.activation.method import Plain, Setup
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.activation.compress.xquant import XQuant


class Inputs(Plain):
    """The store of `XQuant`: `entries` while the prompt is read, then those without keys and values, and X in parts."""

    def __init__(self, xquant: XQuant, setup: Setup) -> None:
        super().__init__()
        self.xquant, self.setup = xquant, setup
        found = [name for name, m in setup.model.named_modules() if getattr(m, "layer_idx", None) == setup.layer]
        named = [name for name in found if hasattr(setup.model.get_submodule(name), "k_proj")]
        if not named:
            raise InvalidInput("this model has no projection to keys that could be repeated: use another store.")
        self.name, self.heads = named[0], 0
        self.inputs: Tensor | None = None  # X of this call, from the layer
        self.newest: list[Tensor] = []  # X, or X U_k and X U_v, of what is not in parts, (B, 1, n, W)
        self.parts: list[list[Packed | Tensor]] = []
        self.done = False
        width, both = self.module.k_proj.in_features, 2 * self.module.k_proj.out_features
        self.latent = (both <= width and not xquant.across) if xquant.latent is None else xquant.latent
        self.bits = xquant.early_bits if xquant.across and setup.layer < xquant.early else xquant.bits
        if xquant.share is not None:
            room = xquant.share * both * torch.finfo(setup.model.dtype).bits / (both if self.latent else width) - 1
            self.bits = max((bits for bits in WIDTHS if bits <= room), default=0)
            if not self.bits:
                raise InvalidInput(
                    f"{xquant.share} of a cache is below 1 bit a number with its scales: give a larger share."
                )
        setup.shared[f"xquant.{setup.layer}"] = self

    @property
    def module(self) -> Any:
        """The attention module."""
        return self.setup.model.get_submodule(self.name)

    def put(self, new: Entries) -> None:
        """Append the entries of a call, and what the layer read."""
        if self.inputs is None or new.valid is not None:
            what = "this model does not show what its layers read" if self.inputs is None else "a batch with padding"
            raise InvalidInput(f"{what}: XQuant cannot compute keys and values again; use another store.")
        x, self.inputs = self.inputs.detach()[:, None], None
        if self.entries is None:
            self.heads = new.keys.shape[1]
            self._check(x, new)
        while self.done and self.newest[0].shape[2] >= self.xquant.residual + self.xquant.group:
            self._flush(self.xquant.group)
        streams = [x @ self.xquant.factor(p)[0].to(x.dtype) for p in self._projections()] if self.latent else [x]
        self.newest = (
            [torch.cat(pair, 2) for pair in zip(self.newest, streams, strict=True)] if self.newest else streams
        )
        super().put(bare(new) if self.done else new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return keys and values as they come out of what is kept."""
        entries = super().read(query, start)
        if not self.done:
            return entries
        keys, values = self._rebuilt(self.opened(), entries.positions())
        return Entries(keys, values, entries.position_ids, entries.valid, entries.bias, entries.extra)

    def replace(self, entries: Entries) -> None:
        """Refuse: what a layer reads is all heads' own."""
        raise InvalidInput("XQuant keeps all tokens for all heads: use a method without a budget.")

    def on_prefill_end(self) -> None:
        """Let go of the keys and values of the prompt, and round X."""
        if self.entries is None or self.done:
            return
        self.entries, self.done = bare(self.entries), True
        if (count := self.newest[0].shape[2] - self.xquant.residual) > 0:
            self._flush(count)

    def opened(self) -> list[Tensor]:
        """Return all that is kept, as it comes back, (B, 1, T, W) each."""
        if not self.parts:
            return self.newest
        whole = [torch.cat([opened(t) for t in stream], 2) for stream in zip(*self.parts, strict=True)]
        if self._below is not None:
            whole[0] = whole[0] + self._below.last()[:, :, : whole[0].shape[2]]
        whole = [torch.cat(pair, 2) for pair in zip(whole, self.newest, strict=True)]
        if self.xquant.across:
            self.setup.shared["xquant"] = (self.setup.layer, whole[0])
            if self.setup.layer == self.setup.layers - 1:
                del self.setup.shared["xquant"]
        return whole

    @property
    def _below(self) -> Inputs | None:
        first = not self.xquant.across or self.setup.layer == 0
        return None if first else self.setup.shared[f"xquant.{self.setup.layer - 1}"]

    def last(self) -> Tensor:
        """Return X', (B, 1, T, W): as it was when this layer was read before the next, or anew."""
        layer, found = self.setup.shared.get("xquant", (None, None))
        return found if layer == self.setup.layer and found.shape[2] == self.held else self.opened()[0]

    def _flush(self, count: int) -> None:
        oldest = [t[:, :, :count] for t in self.newest]
        if self._below is not None:
            first = sum(part[0].shape[2] for part in self.parts)
            oldest[0] = oldest[0] - self._below.last()[:, :, first : first + count]
        axes = (2, 3) if self.latent else (3,)
        if self.bits is None:
            part: list[Packed | Tensor] = [t.clone() for t in oldest]
        else:
            part = [pack(t, self.bits, axis, self._even(t.shape[axis])) for t, axis in zip(oldest, axes, strict=True)]
        self.parts.append(part)
        self.newest = [t[:, :, count:].clone() for t in self.newest]

    def _even(self, size: int) -> int:
        return -(-size // -(-size // self.xquant.group))

    def _projections(self) -> tuple[nn.Linear, nn.Linear]:
        return self.module.k_proj, self.module.v_proj

    def _rebuilt(self, streams: list[Tensor], positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values, (B, H, T, D)."""
        found = []
        for i, projection in enumerate(self._projections()):
            if self.latent:
                x = streams[i] @ self.xquant.factor(projection)[1].to(streams[i].dtype)
                x = x if projection.bias is None else x + projection.bias
            else:
                x = projection(streams[0])
            found.append(x[:, 0].unflatten(-1, (self.heads, -1)))
        norm = getattr(self.module, "k_norm", None)
        keys = found[0] if norm is None else norm(found[0])
        return self.setup.rotary().shift(keys.transpose(1, 2), positions), found[1].transpose(1, 2)

    def _check(self, x: Tensor, new: Entries) -> None:
        """Raise unless keys and values come out as the model makes them."""
        positions = torch.arange(x.shape[2], device=x.device)
        latent, self.latent = self.latent, False
        rebuilt = self._rebuilt([x], positions)
        self.latent = latent
        for one, other in zip(rebuilt, (new.keys, new.values), strict=True):
            if (one - other).abs().max() > 2e-2 * other.abs().max().clamp_min(1e-9):
                raise InvalidInput("this model does not make keys and values of its inputs alone: use another store.")

    def rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().rows(index)
        self.setup.shared.pop("xquant", None)
        self.newest = [t.index_select(0, index.to(t.device)) for t in self.newest]
        self.parts = [[rows_of(t, index) for t in part] for part in self.parts]

    def crop(self, end: int) -> None:
        """Drop what stands at or after a position. Raises InvalidInput where that is in a part."""
        left = end - sum(part[0].shape[2] for part in self.parts)
        if left < 0:
            raise InvalidInput(f"{-left} tokens to let go of are rounded together with others: give a larger residual.")
        super().crop(end)
        self.setup.shared.pop("xquant", None)
        self.newest = [t[:, :, :left].clone() for t in self.newest]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors; the factors of the weights are the model's, not the cache's."""
        return super().nbytes + sum(int(t.nbytes) for part in [self.newest, *self.parts] for t in part)
