"""What an export reads and an import writes to. A `Space` is both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from mnemos.cube import MemCube, Page
from mnemos.store.base import Store

Progress = Callable[[int], None]


class Exported(Protocol):
    """A space whose cubes can be read."""

    @property
    def name(self) -> str:
        """The name of the space."""
        ...

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield every cube with its versions."""
        ...

    def cubes(self, *, limit: int) -> Page:
        """Return the current cubes in the order of writing, `limit` read at a time."""
        ...


@runtime_checkable
class Stored(Protocol):
    """A space whose payloads can be read: one that this process has opened."""

    @property
    def store(self) -> Store:
        """The store."""
        ...


class ImportTarget(Protocol):
    """A space that cubes can be written to."""

    @property
    def name(self) -> str:
        """The name of the space."""
        ...

    @property
    def store(self) -> Store:
        """The store, to look up which ids exist and which were erased."""
        ...

    @property
    def secrets(self) -> str:
        """What happens to secrets in new texts: "redact", "refuse" or "keep"."""
        ...

    @property
    def timezone(self) -> str:
        """The zone of times without an offset."""
        ...

    @property
    def clock(self) -> Callable[[], datetime]:
        """Return the current time."""
        ...

    def update(self, cube_id: str, **changes: Any) -> MemCube:
        """Write the next version of a cube."""
        ...

    def add_many(self, messages: Iterable[Mapping[str, Any]], *, progress: Progress | None = None) -> list[MemCube]:
        """Store messages in one transaction, all or none."""
        ...

    def restore(self, rows: Iterable[Mapping[str, Any]], *, progress: Progress | None = None) -> tuple[int, int]:
        """Write what `dump` yielded, all or none; return the numbers of cubes added and skipped."""
        ...
