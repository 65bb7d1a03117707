"""Learned construction of a memory: Mem-alpha. A policy says of each text into which of three stores it goes, or none."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from mnemos.reason.condense import sentences
from mnemos.reason.dates import find_dates
from mnemos.registry import Paper, register
from mnemos.text.compress.base import Fold, Item, Room
from mnemos.text.compress.merge import key_of

Floats = NDArray[np.float64]
STORES = ("nothing", "core", "semantic", "episodic")  # what may become of a text
FEATURES = ("bias", "names a value", "number", "date", "standing", "first person", "question", "length", "name inside")
LONG = 60  # characters of a text of middling length
_STANDING = re.compile(r"\b(?:always|never|must|prefer|please|from now on|do not|don't|every time)\b", re.IGNORECASE)
_ME = re.compile(r"\b(?:i|my|me|we|our)\b", re.IGNORECASE)
_NAME = re.compile(r"(?<=[\w,] )[^\W\d_a-z]\w+")
_ANCHOR = datetime(2025, 1, 1, tzinfo=UTC)  # which day a date names does not matter, only that one is named


@register(
    "memory-construction",
    task="construction",
    baselines=("sliding-window", "internal-state", "context-edits"),
    papers=(
        Paper(
            "Mem-α: Learning Memory Construction via Reinforcement Learning",
            "2509.25911",
            code="wangyu-ustc/Mem-alpha",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class MemoryConstruction:
    """Put each text into a core note, among facts, among events, or nowhere, as a learned policy says.

    The core is a note of its own size, which outlives the rest; facts replace those of the same names; events stay side by
    side. Once there is no room, the oldest facts and events leave. Deviation: the paper trains a model of 4 billion
    parameters, which writes the contents too; here a linear score of nine features chooses the store, trained by policy gradient
    with the paper's reward (`mnemos bench construction`), and texts stay as they were said.
    """

    weights: tuple[tuple[float, ...], ...] = ()  # of `FEATURES` by store, as in `STORES`; none: those that are shipped
    core: int = 512  # most tokens of the core note, and at most half of the room
    fetch: int = 0  # memories of the space that a prompt fetches back for its question

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return what stays of all but the last step, which every prompt shows."""
        steps = [item for item in items if not item.note and not item.pinned]
        if len(steps) < 2:
            return None
        chosen = zip(steps[:-1], self.choose([step.text for step in steps[:-1]]), strict=True)
        stores = {s.id: "episodic" if (s.role, store) == ("tool", "core") else store for s, store in chosen}
        return construct(items, stores, room, self.core)  # what a tool says is no standing order

    def choose(self, texts: Sequence[str]) -> list[str]:
        """Return the store of each text."""
        scores = features(texts) @ np.array(self.weights or shipped()).T
        return [STORES[i] for i in scores.argmax(axis=1)]


def construct(items: Sequence[Item], stores: dict[str, str], room: Room, core: int) -> Fold | None:
    """Return what becomes of a context whose items go into these stores, by id; None where it stays as it is. O(items)."""
    kept, new = list[Item](), list[Item]()
    said, said_by_tools = set[str](), set[str]()  # names that later items give values to
    for item in reversed(items):
        store = stores.get(item.id)
        if store == "core":
            new.append(item)
        elif store in (None, "episodic") or (
            store == "semantic" and not _names(item.text) <= (said | said_by_tools if item.role == "tool" else said)
        ):
            kept.append(item)
        if store == "semantic":  # a tool's result replaces no word of the user
            (said_by_tools if item.role == "tool" else said).update(_names(item.text))
    kept.reverse()
    new.reverse()
    note = None
    if new:
        state = "\n".join(item.text for item in items if item.note and not item.pinned)
        note = room.merge(state, [item.text for item in new], min(core, room.tokens // 2))
        kept = [item for item in kept if not item.note or item.pinned]
    size = sum(item.tokens for item in kept) + (room.count(note) if note else 0)
    leave = set[str]()
    for item in kept[:-1]:
        if size <= room.tokens:
            break
        if item.id in stores:
            leave.add(item.id)
            size -= item.tokens
    keep = tuple(item.id for item in kept if item.id not in leave)
    return None if note is None and len(keep) == len(items) else Fold(keep, note)


@lru_cache(maxsize=8_192)
def _names(text: str) -> frozenset[str]:
    """Return what the sentences of a text give values to, or are, where they give none."""
    return frozenset(key_of(sentence) for _, sentence in sentences(text))


def features(texts: Sequence[str]) -> Floats:
    """Return the features of texts, (N, 9), each from 0 to 1; see `FEATURES`."""
    return np.array([_features(text) for text in texts]).reshape(len(texts), len(FEATURES))


def names_value(text: str) -> bool:
    """Tell whether a sentence of a text gives a name a value, as a fact does."""
    return any(key_of(sentence) != sentence for _, sentence in sentences(text))


def has_date(text: str) -> bool:
    """Tell whether a text says when something happens."""
    return bool(find_dates(text, _ANCHOR))


@lru_cache(maxsize=8_192)
def _features(text: str) -> tuple[float, ...]:
    found = (
        True, names_value(text), any(c.isdigit() for c in text), has_date(text), _STANDING.search(text), _ME.search(text),
        text.rstrip().endswith("?"),
    )  # fmt: skip
    return (*(float(bool(x)) for x in found), len(text) / (LONG + len(text)), float(bool(_NAME.search(text))))


@cache
def shipped() -> tuple[tuple[float, ...], ...]:
    """Return the weights that `benchmarks/fit/construction.py` wrote."""
    data = json.loads(resources.files("mnemos.text.compress").joinpath("construction.json").read_text(encoding="utf-8"))
    return tuple(tuple(float(w) for w in row) for row in data["weights"])
