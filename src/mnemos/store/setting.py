"""Settings of a space that its store keeps, and other values by name. A damaged one counts as not stored, and is told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

from mnemos.errors import DamagedRow
from mnemos.store.base import Store

T = TypeVar("T")


def stored_value(store: Store, key: str, read: Callable[[str], T]) -> T | None:
    """Return what `read` makes of a value of a store; None if there is none, or, with a warning, if it is damaged."""
    if not (text := store.meta.get(key)):
        return None
    try:
        return read(text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        warnings.warn(
            f"the value {key!r} of space {store.space!r} is damaged ({error!r:.80}) and counts as not set. Set it again, or "
            f"run `mnemos doctor --repair -s {store.space}`, which sets it aside.",
            DamagedRow,
            stacklevel=3,
        )
        return None


class Stored(Protocol):
    """An object with a store."""

    @property
    def store(self) -> Store:
        """The store of a space."""


class Setting(Generic[T]):
    """An attribute whose value is kept in the store, where every process sees it.

    `default` returns the value of an owner that has none stored. `read` makes the value of the stored text. `write` checks
    a value and returns its text, or raises InvalidInput.
    """

    def __init__(
        self, key: str, default: Callable[[Any], T], read: Callable[[str], T], write: Callable[[T], str]
    ) -> None:
        self.key, self.read, self._default, self._write = key, read, default, write

    @overload
    def __get__(self, owner: None, kind: type) -> Setting[T]: ...
    @overload
    def __get__(self, owner: Stored, kind: type) -> T: ...
    def __get__(self, owner: Stored | None, kind: type) -> T | Setting[T]:
        """Return the stored value, or the default."""
        if owner is None:
            return self
        found = stored_value(owner.store, self.key, self.read)
        return self._default(owner) if found is None else found

    def __set__(self, owner: Stored, value: T) -> None:
        """Check a value and store it."""
        owner.store.meta.set(self.key, self._write(value))
