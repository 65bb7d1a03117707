"""The entries of some heads of a layer: keys, values, and their positions in the text.

Dimension letters are those of `base`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

SPARE = 32  # room for a 32nd more is made when entries are appended: a token then costs a 32nd of a copy of all
ABSENT = {"valid": True, "bias": 0.0}  # the value of entries that do not say


def take(tensor: Tensor, index: Tensor) -> Tensor:
    """Return copies of the entries (B, H, T, ...) at index (B, H, n)."""
    if tensor.dim() == index.dim():
        return tensor.gather(2, index)
    if tensor.requires_grad and torch.is_grad_enabled():
        return tensor.gather(2, index[..., None].expand(*index.shape, tensor.shape[3]))
    found = tensor.new_empty(*index.shape, tensor.shape[3])
    for b, h in product(*map(range, index.shape[:2])):  # whole rows at once: three times as fast as `gather`
        torch.index_select(tensor[b, h], 0, index[b, h], out=found[b, h])
    return found


@dataclass
class Room:
    """Buffers longer than the entries in them, so that later entries can be written behind."""

    buffers: dict[str, Tensor]
    views: dict[str, Tensor]  # the tensors of the entries that wrote last
    used: int  # where the entries end
    first: int = 0  # where they begin: what stood before has been dropped

    @staticmethod
    def of(mine: dict[str, Tensor], its: dict[str, Tensor]) -> Room:
        """Return room for `mine` (B, H, T, ...), for `its` to follow, and for a few more."""
        count = mine["keys"].shape[2]
        size = count + its["keys"].shape[2]
        size += max(8, size // SPARE)
        buffers = {
            name: t.new_empty(*t.shape[:2], size, *t.shape[3:], dtype=torch.promote_types(t.dtype, its[name].dtype))
            for name, t in mine.items()
        }
        return Room(buffers, {}, count)

    def takes(self, mine: dict[str, Tensor], its: dict[str, Tensor], end: int) -> bool:
        """Return whether `its` can be written right behind `mine`: nobody else has, and both are of one kind."""
        keys = self.buffers["keys"]
        return (
            mine["keys"] is self.views["keys"]
            and mine["values"] is self.views["values"]
            and mine["keys"].shape[2] == self.used - self.first
            and self.first + end <= keys.shape[2]
            # otherwise some have positions or padding, and some do not
            and mine.keys() == self.buffers.keys() >= its.keys()
            and all(t.dtype == self.buffers[name].dtype for name, t in its.items())
            and not (its["keys"].requires_grad and torch.is_grad_enabled())
            and not (keys.is_inference() and not torch.is_inference_mode_enabled())
        )

    def write(self, mine: dict[str, Tensor], its: dict[str, Tensor], end: int) -> None:
        """Write the new entries, and what a method has replaced of the old ones: its memory of them."""
        count = self.used - self.first
        for name, buffer in self.buffers.items():
            if mine[name] is not self.views.get(name):
                buffer.narrow(2, self.first, count).copy_(mine[name])
            rest = buffer.narrow(2, self.used, end - count)
            if name in its:
                rest.copy_(its[name])
            else:
                rest.fill_(ABSENT.get(name, 0))
        self.used = self.first + end
        self._view()

    def trim(self, sinks: int, count: int) -> None:
        """Drop `count` entries behind the first `sinks`: the sinks are written over the last of them."""
        for buffer in self.buffers.values():
            if sinks:
                buffer.narrow(2, self.first + count, sinks).copy_(buffer.narrow(2, self.first, sinks).clone())
        self.first += count
        self._view()

    def _view(self) -> None:
        held = (self.first, self.used - self.first)
        self.views = {name: buffer.narrow(2, *held) for name, buffer in self.buffers.items()}


@dataclass
class Entries:
    """Entries in ascending order of their positions; whoever removes some keeps that order."""

    keys: Tensor  # (B, H, T, D), rotated as the model rotated them
    values: Tensor  # (B, H, T, D)
    position_ids: Tensor | None = None  # (B, H, T); None: 0 to T-1, nothing was evicted
    valid: Tensor | None = None  # (B, H, T), False for padding; None: there is none
    bias: Tensor | None = None  # (B, H, T), added to the logits
    extra: dict[str, Tensor] = field(default_factory=dict)  # what a method remembers of each entry, by name, (B, H, T)
    room: Room | None = field(default=None, init=False, repr=False)  # what these tensors are the first part of

    def __len__(self) -> int:
        return int(self.keys.shape[2])

    @property
    def nbytes(self) -> int:
        """Bytes held, the room behind the entries included."""
        storages = [t.untyped_storage() for t in self.tensors().values()]
        return sum({s.data_ptr(): s.nbytes() for s in storages}.values())

    @property
    def vector_bytes(self) -> int:
        """Bytes of the key and the value of one entry of a head."""
        return sum(int(t.shape[3]) * t.element_size() for t in (self.keys, self.values))

    @property
    def entry_bytes(self) -> int:
        """Bytes of one entry of a head once others have been evicted: its position, and what is remembered, included."""
        numbers = [t for name, t in self.tensors().items() if name not in ("keys", "values", "position_ids")]
        return self.vector_bytes + 4 + sum(int(t.element_size()) for t in numbers)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name; those of `extra` as `extra.NAME`."""
        found = {"keys": self.keys, "values": self.values}
        if self.position_ids is not None:
            found["position_ids"] = self.position_ids
        if self.valid is not None:
            found["valid"] = self.valid
        if self.bias is not None:
            found["bias"] = self.bias
        for name, tensor in self.extra.items():
            found[f"extra.{name}"] = tensor
        return found

    @staticmethod
    def of(tensors: dict[str, Tensor]) -> Entries:
        """Return the entries of which `tensors()` is this."""
        made = Entries(
            tensors["keys"], tensors["values"], tensors.get("position_ids"), tensors.get("valid"), tensors.get("bias")
        )
        for name, tensor in tensors.items():
            if name.startswith("extra."):
                made.extra[name.removeprefix("extra.")] = tensor
        return made

    def positions(self) -> Tensor:
        """Return the positions in the text, (B, H, T): the number of tokens before each entry."""
        if self.position_ids is not None:
            return self.position_ids
        return torch.arange(len(self), dtype=torch.int32, device=self.keys.device).expand(self.keys.shape[:3])

    def numbered(self) -> Entries:
        """Return the same entries with `position_ids`: entries can be evicted from them."""
        return self if self.position_ids is not None else replace(self, position_ids=self.positions().clone())

    def memory(self, name: str) -> Tensor:
        """Return what a method remembers of each entry, (B, H, T) in float32; zeros at first. Change it in place."""
        if name not in self.extra:
            self.extra[name] = torch.zeros(self.keys.shape[:3], device=self.keys.device)
        return self.extra[name]

    def gather(self, keep: Tensor) -> Entries:
        """Return copies of the entries at the indices `keep`, (B, H, n): the memory of the others can be freed."""

        return self.numbered().each(lambda t: take(t, keep))

    def trimmed(self, sinks: int, count: int) -> Entries:
        """Return the entries without `count` behind the first `sinks`, in place where there is room; O(sinks).

        What shares the room, these entries included, is no longer valid.
        """
        entries, room = self.numbered(), self.room
        mine = entries.tensors()
        if (
            room is None
            or any(mine[name] is not view for name, view in room.views.items())
            or len(mine) != len(room.views)
        ):
            return entries.each(lambda t: torch.cat((t[:, :, :sinks], t[:, :, sinks + count :]), 2))
        room.trim(sinks, count)
        trimmed = Entries.of(room.views)
        trimmed.room = room
        return trimmed

    def heads(self, index: Tensor) -> Entries:
        """Return the entries of some heads."""
        return self.each(lambda t: t.index_select(1, index))

    def rows(self, index: Tensor) -> Entries:
        """Return the entries of some rows of the batch, in that order (beams)."""
        return self.each(lambda t: t.index_select(0, index.to(t.device)))

    def before(self, position: int) -> int:
        """Return how many entries of a head stand before a position."""
        return int((self.positions()[0, 0] < position).sum())

    def owned(self) -> Entries:
        """Return the same entries, copied where they are parts of larger tensors: a chunk, or queries beside them."""
        return self.each(lambda t: t.clone() if t.untyped_storage().nbytes() > t.numel() * t.element_size() else t)

    def first(self, count: int) -> Entries:
        """Return copies of the first entries."""
        return self.each(lambda t: t[:, :, :count].clone())

    def after(self, count: int) -> Entries:
        """Return copies of all but the first entries."""
        return self.each(lambda t: t[:, :, count:].clone())

    def each(self, change: Callable[[Tensor], Tensor]) -> Entries:
        """Return the entries with every tensor changed alike."""
        return Entries.of({name: change(t) for name, t in self.tensors().items()})

    def __deepcopy__(self, memo: dict[int, Any]) -> Entries:
        return self.each(lambda t: t.detach().clone())  # torch refuses to copy what a gradient could flow through

    def joined(self, new: Entries) -> Entries:
        """Return these entries followed by new ones, which need `position_ids` if something was evicted before.

        O(new), and O(all) once in T / 32 tokens: room is made for later entries, and entries may share it. Where a
        gradient flows, O(all).
        """
        if not len(self):
            return new
        mine, its, end = self.tensors(), new.tensors(), len(self) + len(new)
        if "position_ids" in mine and "position_ids" not in its:
            its["position_ids"] = new.positions() + len(self)
        room = self.room
        if room is None or not room.takes(mine, its, end):
            if "position_ids" in its and "position_ids" not in mine:
                mine["position_ids"] = self.positions()
            for one, other in ((mine, its), (its, mine)):
                for name in other.keys() - one.keys():
                    size = (*one["keys"].shape[:3], *other[name].shape[3:])
                    one[name] = other[name].new_full(size, ABSENT.get(name, 0))
            if torch.is_grad_enabled() and any(t.requires_grad for t in (*mine.values(), *its.values())):
                return Entries.of({name: torch.cat((t, its[name]), dim=2) for name, t in mine.items()})
            room = Room.of(mine, its)
        room.write(mine, its, end)
        joined = Entries.of(room.views)
        joined.room = room
        return joined
