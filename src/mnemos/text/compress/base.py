"""The contract of a context policy: what stays in a working context, and what a note replaces.

A policy sees the items of the context, oldest first, and the room for them. What it takes out stays in the space, and a
search finds it; pinned items stay whatever it says. It is a frozen data class, has no state between calls, and returns the
same for the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

Merge = Callable[[str, Sequence[str], int], str]  # (state so far, texts to fold into it, most tokens) -> the new state
Count = Callable[[str], int]  # the tokens of a text


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a working context: a step (a message, a thought, a tool's result), or a note that replaces some."""

    id: str
    text: str
    tokens: int
    note: bool = False
    pinned: bool = False
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What a policy works with: the most tokens that all items may take, how to count them, and how to merge texts."""

    tokens: int
    count: Count
    merge: Merge
    goal: str = ""  # the pinned texts: what the task is about


@dataclass(frozen=True, slots=True)
class Fold:
    """What becomes of a context: the items that stay, and the note that replaces the notes and items that do not."""

    keep: tuple[str, ...]  # ids, of notes too
    note: str | None = None  # None: what does not stay is left out without a word
    tail: tuple[str, int] | None = None  # an item that is kept from a character on


@runtime_checkable
class ContextPolicy(Protocol):
    """Decides what stays in a working context with a budget, what is folded into a note, and how much is fetched back."""

    @property
    def fetch(self) -> int:
        """How many memories of the space a prompt fetches back for its question."""

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return what becomes of the context; None: it stays as it is. Called after each step. O(items)."""


@dataclass(frozen=True, slots=True)
class KeepAll:
    """Keeps every item: the full context, whatever its size."""

    fetch: ClassVar[int] = 0

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return None: everything stays."""
        return None


KINDS: dict[str, type] = {"context policy": ContextPolicy}


def newest(items: Sequence[Item], tokens: int) -> list[Item]:
    """Return the pinned items, and the newest others that fit with them into `tokens`, in order."""
    left = tokens - sum(item.tokens for item in items if item.pinned)
    kept = {item.id for item in items if item.pinned}
    for item in reversed(items):
        if item.id not in kept:
            if item.tokens > left:
                break
            left -= item.tokens
            kept.add(item.id)
    return [item for item in items if item.id in kept]
