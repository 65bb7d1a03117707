"""A sliding window and a periodic summary: the baselines of the other context policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.registry import register
from mnemos.text.compress.base import Fold, Item, Room, newest


@register("sliding-window", task="agents")
@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Keep the newest items that fit, and fold nothing: the baseline."""

    fetch: int = 0  # memories of the space that a prompt fetches back for its question

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the newest items once there is no room for all."""
        if sum(item.tokens for item in items) <= room.tokens:
            return None
        return Fold(tuple(item.id for item in newest(items, room.tokens)))


@register(
    "periodic-summary",
    task="agents",
    baselines=("sliding-window",),
)
@dataclass(frozen=True, slots=True)
class PeriodicSummary:
    """Merge all but the newest items into one summary whenever the context is full: a baseline."""

    recent: float = 0.3  # of the room: the newest items, which stay as they are
    share: float = 0.3  # of the room that the summary may take
    fetch: int = 0  # memories of the space that a prompt fetches back for its question

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the newest items and a summary of the others once there is no room for all."""
        if sum(item.tokens for item in items) <= room.tokens:
            return None
        pinned = sum(item.tokens for item in items if item.pinned)
        steps = [item for item in items if not item.note]
        keep = {item.id for item in newest(steps, int(self.recent * room.tokens) + pinned)}
        state = "\n".join(item.text for item in items if item.note and not item.pinned)
        old = [item.text for item in steps if item.id not in keep]
        return Fold(tuple(i.id for i in items if i.id in keep), room.merge(state, old, int(self.share * room.tokens)))
