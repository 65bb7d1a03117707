"""All errors that Mnemos raises on purpose. Each message says what was wrong and what to do."""

from __future__ import annotations


class MnemosError(Exception):
    """Base of all errors raised by Mnemos."""


class InvalidInput(MnemosError, ValueError):
    """An argument or a message is invalid. Nothing was stored."""


class NotFound(MnemosError, KeyError):
    """No cube, space or method has this name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError would print the repr


class Conflict(MnemosError):
    """A write conflicts with what is stored, such as an id that already has other content."""


class StoreError(MnemosError):
    """The file of a space cannot be read or written. What was stored before is unchanged."""


class StoreFull(StoreError):
    """The disk (or a quota) is full: the write was rolled back."""


class ReadOnly(StoreError):
    """The space is opened read-only: nothing was written."""


class OutOfFiles(StoreError):
    """This process may not open another file: its limit of descriptors is reached. No space is damaged."""


class StoreBusy(StoreError):
    """Another process held the write lock for longer than the timeout."""


class StoreCorrupt(StoreError):
    """The file is damaged."""


class ForeignFile(StoreError):
    """The file is not a Mnemos space."""


class NewerFile(StoreError):
    """The file was written by a newer Mnemos than this one."""


class IndexDamaged(MnemosError):
    """The files of a vector index are missing, cut off or changed. No memory is lost: the index is made again from rows."""


class ModelError(MnemosError):
    """The files of a model cannot be built, read or written."""


class EmbedderError(ModelError):
    """A text could not be turned into a vector."""


class ReasonerError(MnemosError):
    """A reasoner failed to judge. Nothing was changed; the rules can judge instead."""


class StaleVectors(UserWarning):
    """Some vectors come from another embedding model: these cubes are found by words only."""


class UnknownLanguage(UserWarning):
    """The embedder does not know the language of a question: it is answered by words."""


class SpaceMigrated(UserWarning):
    """A file of an earlier Mnemos was brought up to date; a copy from before is beside it."""


class DamagedRow(UserWarning):
    """A row of a space's file cannot be read and was skipped: `mnemos doctor --repair` sets it aside."""


class NothingBelieved(UserWarning):
    """A question about what was believed at a moment before anything was learned: `true_at` asks what was so then."""
