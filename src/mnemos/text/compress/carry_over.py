"""Chunks with a carry-over: Delethink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.registry import Paper, register
from mnemos.text.compress.base import Count, Fold, Item, Room, newest


@register(
    "carry-over",
    task="agents",
    baselines=("sliding-window",),
    papers=(Paper("The Markovian Thinker", "2510.06557", code="McGill-NLP/the-markovian-thinker"),),
)
@dataclass(frozen=True, slots=True)
class CarryOver:
    """Let the context grow to a chunk, then clear it but for what is pinned and the last tokens of the chunk.

    It works where the agent writes its state before the boundary: what a thought carries on stays, what it does not is gone.
    """

    chunk: float = 1.0  # of the room: the size at which the context is cleared
    carry: float = 0.5  # of the room: the last tokens of a chunk that the next one begins with
    fetch: int = 0  # memories of the space that a prompt fetches back for its question

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the last tokens of the context once it is larger than a chunk; the first item of them may be cut."""
        loose = [item for item in items if not item.pinned]
        fixed = sum(item.tokens for item in items if item.pinned)
        if fixed + sum(item.tokens for item in loose) <= self.chunk * room.tokens:
            return None
        kept = newest(loose, most := int(self.carry * room.tokens))
        keep = {item.id for item in (*kept, *(i for i in items if i.pinned))}
        tail = None
        if len(kept) < len(loose):
            cut = loose[len(loose) - len(kept) - 1]
            left = most - sum(item.tokens for item in kept) - (cut.tokens - room.count(cut.text))
            if (start := _start(cut.text, left, room.count)) < len(cut.text):
                tail = cut.id, start
                keep.add(cut.id)
        return Fold(tuple(item.id for item in items if item.id in keep), tail=tail)


def _start(text: str, tokens: int, count: Count) -> int:
    """Return the place from which on a text has at most `tokens`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count(text[middle:]) <= tokens else (middle + 1, high)
    return low
