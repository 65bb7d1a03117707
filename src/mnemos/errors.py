"""Every error that Mnemos raises on purpose. Each message says what was wrong and what to do next."""

from __future__ import annotations


class MnemosError(Exception):
    """Base of all errors raised by Mnemos."""


class InvalidInput(MnemosError, ValueError):
    """An argument or a message cannot be accepted as it is. Nothing was stored."""


class NotFound(MnemosError, KeyError):
    """No cube (or space) has this name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError would print the repr


class Conflict(MnemosError):
    """The write contradicts what is stored, such as an id that is already taken by another content."""


class StoreError(MnemosError):
    """The file of a space cannot be read or written. What was stored before is untouched."""


class StoreFull(StoreError):
    """The disk (or a quota) is full: the write was rolled back."""


class StoreBusy(StoreError):
    """Another process held the write lock for longer than the time-out."""


class StoreCorrupt(StoreError):
    """The file is damaged."""


class ForeignFile(StoreError):
    """The file is not a Mnemos space."""


class NewerFile(StoreError):
    """The file was written by a newer Mnemos than this one."""


class EmbedderError(MnemosError):
    """A text could not be turned into a vector."""


class ReasonerError(MnemosError):
    """A reasoner could not judge. Nothing was changed; the rules can judge instead."""


class StaleVectors(UserWarning):
    """Some vectors in the space come from another embedding model; those cubes are found by words only."""
