"""Settings of a space that its store keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

from mnemos.store.base import Store

T = TypeVar("T")


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
        self._key, self._default, self._read, self._write = key, default, read, write

    @overload
    def __get__(self, owner: None, kind: type) -> Setting[T]: ...
    @overload
    def __get__(self, owner: Stored, kind: type) -> T: ...
    def __get__(self, owner: Stored | None, kind: type) -> T | Setting[T]:
        """Return the stored value, or the default."""
        if owner is None:
            return self
        text = owner.store.meta.get(self._key)
        return self._read(text) if text else self._default(owner)

    def __set__(self, owner: Stored, value: T) -> None:
        """Check a value and store it."""
        owner.store.meta.set(self._key, self._write(value))
