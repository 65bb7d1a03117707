"""What a consolidation did, and how much it may still do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Forgotten:
    """What a policy forgot."""

    archived: tuple[str, ...] = ()  # ids: out of search, restorable
    erased: tuple[str, ...] = ()  # ids

    def __bool__(self) -> bool:
        return bool(self.archived or self.erased)

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten((*self.archived, *other.archived), (*self.erased, *other.erased))


@dataclass
class Consolidation:
    """What a run did."""

    written: dict[str, int] = field(default_factory=dict)  # derived cubes by kind
    removed: int = 0  # derived cubes
    linked: int = 0  # cubes that were compared with the others for links
    reconsidered: int = 0  # cubes that the model judged after the rules
    waiting: int = 0  # cubes that still wait for the model
    promoted: int = 0  # cubes that moved to a longer term
    forgotten: Forgotten = field(default_factory=Forgotten)
    more: bool = False  # the limit was reached: another run continues
    ids_waiting: frozenset[str] = frozenset()

    @property
    def changed(self) -> bool:
        """True when the run did anything."""
        return bool(self.written or self.removed or self.linked or self.reconsidered or self.promoted or self.forgotten)

    def count(self, kind: str) -> None:
        """Count a derived cube."""
        self.written[kind] = self.written.get(kind, 0) + 1

    @property
    def total(self) -> int:
        """Derived cubes written so far."""
        return sum(self.written.values())


@dataclass
class Budget:
    """What the phases of one run share: how much may be written, and what was done."""

    limit: int  # derived cubes to write at most, and cubes to show to the model
    done: Consolidation = field(default_factory=Consolidation)
    progress: Callable[[int], None] | None = None  # called with the number of groups summed up since its last call

    @property
    def spent(self) -> bool:
        """True when no more derived cubes may be written."""
        return self.done.total >= self.limit
