"""Settings of a space that its store keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

T = TypeVar("T")


class Stored(Protocol):
    """Whatever has a store."""

    @property
    def store(self) -> Any:
        """The store of a space."""


class Setting(Generic[T]):
    """An attribute of a space whose value is kept in the file, where every process sees it.

    `read` makes the value of what is kept, and `write` checks a value and makes text of it; it raises InvalidInput
    for one that cannot be.
    """

    def __init__(self, key: str, default: T, read: Callable[[str], T], write: Callable[[T], str]) -> None:
        self._key, self._default, self._read, self._write = key, default, read, write

    @overload
    def __get__(self, space: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, space: Stored, owner: type) -> T: ...
    def __get__(self, space: Stored | None, owner: type) -> T | Setting[T]:
        """Return what is kept, or the default."""
        if space is None:
            return self
        kept = space.store.get_meta(self._key, "")
        return self._read(kept) if kept else self._default

    def __set__(self, space: Stored, value: T) -> None:
        """Keep a value."""
        space.store.set_meta(self._key, self._write(value))
