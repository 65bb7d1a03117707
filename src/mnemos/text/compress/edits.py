"""Edits of the context as decisions: MemAct. A learned score says which items leave, and one note stands for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.index.terms import stop_terms, terms
from mnemos.registry import Paper, register
from mnemos.text.compress.base import Fold, Item, Room
from mnemos.text.compress.merge import key_of

FEATURES = ("bias", "recent", "about the goal", "replaced later", "short", "repeats")
# The mean of what REINFORCE found on the development worlds of `mnemos bench agents` with five seeds, per feature.
LEARNED = (0, -0.59, 6.9, 0, -0.15, 0.59)


@register(
    "context-edits",
    task="agents",
    baselines=("sliding-window", "periodic-summary"),
    papers=(
        Paper(
            "Memory as Action: Autonomous Context Curation for Long-Horizon Agentic Tasks",
            "2510.12635",
            code="ADaM-BJTU/MemAct",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class ContextEdits:
    """Once the context is full, take out the items with the lowest scores, by weights that were learned from outcomes.

    Deviation: the paper trains the agent's model; here a linear score of six features decides, trained by REINFORCE on whole
    episodes, the edits of which share the advantage of the episode (`bench.text.agents`).
    """

    weights: tuple[float, ...] = LEARNED  # of `FEATURES`
    target: float = 0.6  # of the room: what stays after an edit
    fetch: int = 0  # memories of the space that a prompt fetches back for its question

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the items with the highest scores that fit into the target once there is no room for all."""
        if sum(item.tokens for item in items) <= room.tokens:
            return None
        scores = features(items, room) @ np.array(self.weights)
        left = self.target * room.tokens - sum(item.tokens for item in items if item.pinned)
        keep = {item.id for item in items if item.pinned}
        order = sorted(range(len(items)), key=lambda i: (i == len(items) - 1, scores[i], i), reverse=True)
        for i in order:
            if items[i].id not in keep and items[i].tokens <= left:
                keep.add(items[i].id)
                left -= items[i].tokens
        return Fold(tuple(item.id for item in items if item.id in keep))


def features(items: Sequence[Item], room: Room) -> NDArray[np.float64]:
    """Return the features of the items of a context, (N, 6), each from 0 to 1; see `FEATURES`."""
    goal = _content(room.goal)
    words = [_content(item.text) for item in items]
    rare = {term: 1 - sum(term in w for w in words) / len(words) for term in goal}  # a word of all items tells nothing
    keys = [key_of(item.text) for item in items]
    last = {key: i for i, key in enumerate(keys)}
    rows = []
    for i, item in enumerate(items):
        later = frozenset().union(*words[i + 1 :]) if i + 1 < len(items) else frozenset()
        rows.append(
            (
                1.0,
                (i + 1) / len(items),
                max((rare[term] for term in words[i] & goal), default=0.0),
                float(last[keys[i]] > i),
                1.0 / (1.0 + item.tokens / 40),
                len(words[i] & later) / max(len(words[i]), 1),
            )
        )
    return np.array(rows)


def _content(text: str) -> frozenset[str]:
    return frozenset(terms(text)) - stop_terms()
