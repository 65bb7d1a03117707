"""One internal state instead of a transcript: MEM1, and RecurrentGPT, which fetches back from what it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.registry import Paper, register
from mnemos.text.compress.base import Fold, Item, Room


@register(
    "internal-state",
    task="agents",
    baselines=("sliding-window",),
    papers=(
        Paper(
            "MEM1: Learning to Synergize Memory and Reasoning for Efficient Long-Horizon Agents",
            "2506.15841",
            code="MIT-MI/MEM1",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class InternalState:
    """Fold all but the last steps into one state after each step; everything older leaves the prompt.

    Deviation: the paper's model writes the state itself, and is trained to; here `Room.merge` writes it, by rules unless
    the caller gives a model's function, and an agent may write it (`Working.fold`).
    """

    recent: int = 1  # last steps that stay as they are
    share: float = 0.5  # of the room that the state may take
    fetch: int = 0  # memories of the space that a prompt fetches back for its question

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the pinned items and the last steps, with the rest merged into the state."""
        steps = [item for item in items if not item.note and not item.pinned]
        if len(steps) <= self.recent:
            return None
        old = steps[: len(steps) - self.recent]
        state = "\n".join(item.text for item in items if item.note and not item.pinned)
        leave = {item.id for item in (*old, *(i for i in items if i.note and not i.pinned))}
        keep = tuple(item.id for item in items if item.id not in leave)
        return Fold(keep, room.merge(state, [item.text for item in old], int(self.share * room.tokens)))


@register(
    "short-and-long-term",
    task="agents",
    baselines=("sliding-window", "internal-state"),
    papers=(
        Paper(
            "RecurrentGPT: Interactive Generation of (Arbitrarily) Long Text",
            "2305.13304",
            code="aiwaves-cn/RecurrentGPT",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class ShortAndLongTerm(InternalState):
    """Keep the last step and a short summary, and fetch the nearest memories of everything before back into each prompt.

    Deviation: the paper's model rewrites the summary of some 10 to 20 sentences; see `InternalState`.
    """

    share: float = 0.25  # of the room that the summary may take
    fetch: int = 4  # memories of the space that a prompt fetches back for its question
