"""What a layer holds for some heads: keys, values, and where they stood in the text.

B batch, H key/value heads, G query heads per key/value head, T entries held, q queries of a call, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass
class Entries:
    """Entries in the order of the text; whoever drops some keeps that order.

    `slots` counts the tokens seen before each one (None: 0 to T-1, nothing was dropped), `valid` is False for padding,
    `bias` is added to the logits (merged entries), `extra` is what a method remembers of each entry, by name.
    """

    keys: Tensor  # (B, H, T, D), rotated as the model rotated them
    values: Tensor  # (B, H, T, D)
    slots: Tensor | None = None  # (B, H, T)
    valid: Tensor | None = None  # (B, H, T)
    bias: Tensor | None = None  # (B, H, T)
    extra: dict[str, Tensor] = field(default_factory=dict)  # (B, H, T) each

    def __len__(self) -> int:
        return int(self.keys.shape[2])

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.numel() * t.element_size() for t in self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are there, by name; those of `extra` as `extra.NAME`."""
        named = {"keys": self.keys, "values": self.values, "slots": self.slots, "valid": self.valid, "bias": self.bias}
        found = {name: t for name, t in named.items() if t is not None}
        return found | {f"extra.{name}": t for name, t in self.extra.items()}

    @staticmethod
    def of(tensors: dict[str, Tensor]) -> Entries:
        """Return the entries that `tensors` was taken from."""
        extra = {name.removeprefix("extra."): t for name, t in tensors.items() if name.startswith("extra.")}
        return Entries(**{name: t for name, t in tensors.items() if "." not in name}, extra=extra)

    def places(self) -> Tensor:
        """Return the slots, (B, H, T), counted when nothing was dropped."""
        if self.slots is not None:
            return self.slots
        return torch.arange(len(self), dtype=torch.int32, device=self.keys.device).expand(self.keys.shape[:3])

    def numbered(self) -> Entries:
        """Return the same with `slots` written out: from then on entries may go."""
        return self if self.slots is not None else replace(self, slots=self.places().clone())

    def memory(self, name: str) -> Tensor:
        """Return what a method remembers of each entry, (B, H, T) in float32; zeros at first."""
        if name not in self.extra:
            self.extra[name] = torch.zeros(self.keys.shape[:3], device=self.keys.device)
        return self.extra[name]

    def gather(self, keep: Tensor) -> Entries:
        """Return the entries at the indices `keep`, (B, H, n), as tensors of their own: the others are freed."""

        def taken(t: Tensor) -> Tensor:
            if t.dim() == keep.dim():
                return t.gather(2, keep)
            index = keep.reshape(*keep.shape, *(1,) * (t.dim() - keep.dim())).expand(
                *keep.shape, *t.shape[keep.dim() :]
            )
            return t.gather(2, index)

        return self.numbered().each(taken)

    def heads(self, index: Tensor) -> Entries:
        """Return the entries of some heads."""
        return self.each(lambda t: t.index_select(1, index))

    def rows(self, index: Tensor) -> Entries:
        """Return the entries of some rows of the batch, in that order (beams)."""
        return self.each(lambda t: t.index_select(0, index.to(t.device)))

    def before(self, slot: int) -> int:
        """Return how many entries of a head stand before a slot."""
        return int((self.places()[0, 0] < slot).sum())

    def first(self, count: int) -> Entries:
        """Return the first entries as tensors of their own."""
        return self.each(lambda t: t[:, :, :count].clone())

    def each(self, change: Callable[[Tensor], Tensor]) -> Entries:
        """Return the entries with every tensor changed alike."""
        return Entries.of({name: change(t) for name, t in self.tensors().items()})

    def __deepcopy__(self, memo: dict[int, Any]) -> Entries:
        return self.each(lambda t: t.detach().clone())  # torch refuses to copy what a gradient could flow through

    def joined(self, new: Entries) -> Entries:
        """Return these entries followed by new ones, which need `slots` when something was dropped before."""
        if not len(self):
            return new
        mine, its = self.tensors(), new.tensors()
        if "slots" in its and "slots" not in mine:
            mine["slots"] = self.places()
        if "slots" in mine and "slots" not in its:
            its["slots"] = new.places() + len(self)
        missing = {"valid": True, "bias": 0.0}
        for one, other in ((mine, its), (its, mine)):
            for name in other.keys() - one.keys():
                like = other[name]
                size = (*one["keys"].shape[:3], *like.shape[3:])
                one[name] = torch.full(size, missing.get(name, 0), dtype=like.dtype, device=like.device)
        return Entries.of({name: torch.cat((t, its[name]), dim=2) for name, t in mine.items()})
