"""What an erasure would erase, and what it would leave although it is near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from mnemos.cube import MemCube


@dataclass(frozen=True, slots=True)
class Offer:
    """A cube that stays unless its id is given, and why it may be meant too."""

    cube: MemCube
    reason: str


@dataclass(frozen=True, slots=True)
class Preview(Sequence[MemCube]):
    """The cubes that would be erased, as a sequence; `offers` are near ones that would stay, the nearest first."""

    cubes: tuple[MemCube, ...]
    offers: tuple[Offer, ...] = ()

    def __len__(self) -> int:
        return len(self.cubes)

    @overload
    def __getitem__(self, place: int) -> MemCube: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[MemCube]: ...
    def __getitem__(self, place: int | slice) -> MemCube | Sequence[MemCube]:
        return self.cubes[place]
