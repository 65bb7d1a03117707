"""The contract of what a store says about its own soundness: damage and its repair, and the remains of erased cubes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mnemos.store.values import AsideRow, DamagedRecord, DateRow, Salvaged, Scanned


class Remains(Protocol):
    """What a search for erased cubes still finds."""

    def orphans(self) -> int:
        """Return how many words, vectors, dates and facts belong to no version."""

    def traces(self, ids: Sequence[str]) -> int:
        """Return how often links, decisions, the queue and facts name these ids."""

    def mentions(self, text: str) -> bool:
        """Tell whether a row still holds this text, as words or metadata. O(N)."""

    def places(self, text: str) -> dict[str, int]:
        """Return how many rows hold this text: "cubes" as text or metadata, "words" as terms, "facts" as a value. O(N)."""

    def raw(self, needles: Sequence[bytes]) -> tuple[int, list[tuple[str, bytes]]]:
        """Search the bytes below the rows; return how many were read, and (where, needle) of each needle found.

        Pages that are free, logs and files beside the database count too. A needle is at most 48 bytes.
        """


class Checks(Protocol):
    """What may be damaged in a store, and its repair."""

    def integrity(self) -> list[str]:
        """Return what the database's own check finds wrong; empty when it is sound."""

    def rebuild(self) -> bool:
        """Build the indexes of the database again; return whether its own check then finds nothing wrong. O(N log N)."""

    def survey(self) -> Salvaged:
        """Return what could be saved of a store with damaged pages. Reads every row, damaged pages many times."""

    def salvage(self) -> Salvaged:
        """Save what can be read into a new file, which takes the place of the damaged one; that one is kept.

        Other processes must not have the space open. Raises StoreCorrupt when nothing can be read.
        """

    def damaged(self) -> list[DamagedRecord]:
        """Return the rows that readers skip or misread. Reads every row: O(N)."""

    def set_aside(self, made: int, values: Sequence[str] = ()) -> int:
        """Move the `damaged` rows, and `values` of `Meta`, to where no reader meets them; return how many.

        Nothing is destroyed. Counters that a damaged value has set back are put right. Erasing a cube erases what was
        set aside of it.
        """

    def erase_damaged(self) -> int:
        """Erase the `damaged` rows and all that was set aside; return how many rows. For erasing everything."""

    def aside(self) -> list[AsideRow]:
        """Return the rows that were set aside, the oldest first."""

    def scan(self, model: int | None, *, after: int, limit: int) -> list[Scanned]:
        """Return sound versions of any state with a key above `after`, with what is stored beside them."""

    def repair(self, rows: Sequence[tuple[int, Sequence[str], Sequence[DateRow]]], bad_vectors: Sequence[int]) -> None:
        """Write (key, terms, dates) of versions again, and remove the vectors of `bad_vectors`. `changes` reports them."""

    def remove_orphans(self) -> int:
        """Remove words, vectors, dates and facts that belong to no version; return how many."""
