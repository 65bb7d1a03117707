"""Learned construction of a memory: `mnemos bench construction`. Trained on short streams, asked about ones ten times as long.

Every heuristic gets as many tokens as the learned policy's memory has in the same world. No model: a fixed reader answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.cells import mean_and_spread, percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.construction_streams import Stream
from mnemos.registry import Entry
from mnemos.text.compress.base import ContextPolicy, Fold, Item, KeepAll, Room
from mnemos.text.compress.construction import (
    FEATURES,
    STORES,
    MemoryConstruction,
    construct,
    features,
    has_date,
    names_value,
)
from mnemos.text.compress.edits import ContextEdits
from mnemos.text.compress.internal_state import InternalState
from mnemos.text.compress.merge import merge_lines
from mnemos.text.compress.window import SlidingWindow
from mnemos.text.recall.context import estimate_tokens

Floats = NDArray[np.float64]
BETA, GAMMA = (
    0.05,
    0.1,
)  # of the reward: what is not kept of the stream, and what is in the store that its form asks for
GROUP = 8  # episodes of one stream, whose mean reward is the baseline
RATE = 20.0  # of a step
ALL = 10**9  # tokens: everything fits
ROOMS = (0.2, 0.4, 1.0)  # shares of a stream that its memory may take in training


@dataclass(frozen=True)
class Options:
    """The sizes of the streams."""

    seed: int = 0  # seed of the first stream
    seeds: int = 5  # policies that are trained
    streams: int = 2  # streams of either length that each policy is asked about
    training: int = 300  # development streams of each policy
    chunks: int = 80  # chunks of a stream
    longer: int = 10  # times as long are the long streams


@dataclass(frozen=True)
class Earliest:
    """Keeps everything until there is no room: store all."""

    fetch: int = 0

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the oldest items that fit."""
        left, keep = room.tokens, list[str]()
        for item in items:
            if item.tokens <= left:
                keep.append(item.id)
                left -= item.tokens
        return Fold(tuple(keep)) if len(keep) < len(items) else None


@dataclass(frozen=True)
class AtRandom:
    """Keeps items at random."""

    seed: int = 0
    fetch: int = 0

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return the items with the lowest numbers, which are random, as many as fit."""
        left, keep = room.tokens, set[str]()
        for item in sorted(items, key=lambda item: Random(f"{self.seed} {item.id}").random()):
            if item.tokens > left:
                break
            keep.add(item.id)
            left -= item.tokens
        return Fold(tuple(i.id for i in items if i.id in keep)) if len(keep) < len(items) else None


def room_of(tokens: int) -> Room:
    """Return a room of so many tokens, whose notes are written by rules."""
    return Room(tokens, estimate_tokens, lambda state, texts, most: merge_lines(state, texts, most, estimate_tokens))


def remember(policy: ContextPolicy, texts: Sequence[str], tokens: int) -> tuple[str, int]:
    """Return the memory after a stream, and its tokens, as a working context would have it."""
    room, items = room_of(tokens), list[Item]()
    for i, text in enumerate((*texts, "")):
        items.append(Item(str(i), text, estimate_tokens(text)))
        if (fold := policy.fold(items, room)) is not None:
            items = [item for item in items if item.id in fold.keep]
            if fold.note:
                items.insert(0, Item(f"note {i}", fold.note, estimate_tokens(fold.note), note=True))
    return "\n".join(item.text for item in items), sum(item.tokens for item in items)


def train(
    seed: int, streams: int, chunks: int, *, rooms: Sequence[float] = ROOMS, beta: float = BETA, gamma: float = GAMMA
) -> MemoryConstruction:
    """Return the policy that the gradient finds from weights of 0: whole episodes, rewards relative to those of the group."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((len(STORES), len(FEATURES)))
    for number in range(streams):
        stream = Stream.draw(1_000_000 + 10_000 * seed + number, chunks, report=False)
        items = [Item(str(i), text, estimate_tokens(text)) for i, text in enumerate(stream.texts)]
        known, whole = features(stream.texts), sum(item.tokens for item in items)
        room = room_of(int(whole * rng.choice(rooms)))
        scores = known @ weights.T
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        group = [(chances.cumsum(axis=1) > rng.random((len(items), 1))).argmax(axis=1) for _ in range(GROUP)]
        rewards = np.array([_reward(stream, items, drawn, room, whole, beta, gamma) for drawn in group])
        spread = rewards.std() or 1.0
        for drawn, reward in zip(group, rewards, strict=True):
            advantage = (reward - rewards.mean()) / spread
            grad = (np.eye(len(STORES))[drawn] - chances).T @ known / len(items)
            weights += RATE * advantage * grad / GROUP
    return MemoryConstruction(tuple(tuple(float(round(w, 3)) for w in row) for row in weights))


def _reward(
    stream: Stream, items: Sequence[Item], drawn: NDArray[np.int64], room: Room, whole: int, beta: float, gamma: float
) -> float:
    """Return the paper's reward: answers, compression, and whether contents have the form of their store."""
    stores = {item.id: STORES[i] for item, i in zip(items, drawn, strict=True)}
    fold = construct(items, stores, room, MemoryConstruction().core) or Fold(tuple(item.id for item in items))
    kept = [item for item in items if item.id in fold.keep]
    memory = "\n".join((fold.note or "", *(item.text for item in kept)))
    size = sum(item.tokens for item in kept) + estimate_tokens(fold.note or "")
    valid = [
        names_value(item.text) if stores[item.id] == "semantic" else has_date(item.text)
        for item in kept if stores[item.id] in ("semantic", "episodic")
    ]  # fmt: skip
    form = fmean(valid) if valid else 1.0
    return fmean(stream.right(memory)) + beta * (1 - size / whole) + gamma * form


def table(result: Result) -> Rows:
    """Return the answers by policy, for both lengths, and the size of the memory."""
    short, long = result["lengths"]
    cells = {
        name: [(percent(row["right"][0]), percent(row["right"][1]), percent(row["share"])) for row in rows]
        for name, rows in result["policies"].items()
    }
    size = "tokens of the stream"
    head = ["memory", f"right, {short} chunks", "± over seeds", size, f"right, {long} chunks", "± over seeds", size]
    return [head, *([name, *first, *second] for name, (first, second) in cells.items())]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of the learned policy."""
    if entry.name != "memory-construction":
        return None
    rows = result["policies"]
    others = {name: percent(rows[name][1]["right"][0]) for name in entry.baselines}
    right, share = percent(rows[entry.name][1]["right"][0]), percent(rows[entry.name][1]["share"])
    said = f"answers {right} about streams ten times as long as those it learned from, of which it keeps {share}"
    return Figure(said, others)


@benchmark(
    "construction",
    help="A learned policy of what to put into which store, beside heuristics at equal size, and on longer streams.",
    options=Options,
    tables={"construction": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the share of right answers and of the stream that is kept, with the standard deviation over policies."""
    o, lengths = options, (options.chunks, options.chunks * options.longer)
    found: dict[str, list[dict[str, list[float]]]] = {}
    weights = []
    progress.expect(o.seeds)
    for seed in range(o.seed, o.seed + o.seeds):
        learned = train(seed, o.training, o.chunks)
        free = {
            "trained without a room": train(seed, o.training, o.chunks, rooms=(1.0,)),
            "trained without a room and the term for size": train(seed, o.training, o.chunks, rooms=(1.0,), beta=0.0),
        }
        weights.append([list(row) for row in learned.weights])
        for place, chunks in enumerate(lengths):
            scores: dict[str, list[tuple[float, float]]] = {}
            for number in range(o.streams):
                stream = Stream.draw(1_000 * seed + number, chunks, report=True)
                for name, score in _scores(stream, learned, free, seed).items():
                    scores.setdefault(name, []).append(score)
            for name, rows in scores.items():
                cells = found.setdefault(name, [{"right": [], "share": []}, {"right": [], "share": []}])
                cells[place]["right"].append(fmean(right for right, _ in rows))
                cells[place]["share"].append(fmean(share for _, share in rows))
        progress(1)
    policies = {
        name: [{"right": mean_and_spread(cell["right"]), "share": round(fmean(cell["share"]), 4)} for cell in cells]
        for name, cells in found.items()
    }
    return {"lengths": list(lengths), "policies": policies, "weights": weights}


def _scores(
    stream: Stream, learned: MemoryConstruction, others: Mapping[str, ContextPolicy], seed: int
) -> dict[str, tuple[float, float]]:
    """Return by policy the share of right answers and the share of the stream that its memory has."""
    whole = sum(map(estimate_tokens, stream.texts))
    free: dict[str, ContextPolicy] = {
        "memory-construction": learned,
        "memory-construction, as shipped": MemoryConstruction(),
        **others,
        "everything": KeepAll(),
    }
    memories = {name: remember(policy, stream.texts, ALL) for name, policy in free.items()}
    size = memories["memory-construction"][1]
    fact = tuple(tuple(float(s == "semantic" and f == "bias") for f in FEATURES) for s in STORES)
    bound: dict[str, ContextPolicy] = {
        "store all until full": Earliest(),
        "sliding-window": SlidingWindow(),
        "random": AtRandom(seed),
        "last value of each name": replace(learned, weights=fact),
        "internal-state": InternalState(share=1.0),
        "context-edits": ContextEdits(),
    }
    memories |= {name: remember(policy, stream.texts, size) for name, policy in bound.items()}
    return {name: (fmean(stream.right(text)), tokens / whole) for name, (text, tokens) in memories.items()}
