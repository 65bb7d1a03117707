"""REINFORCE for edits of a context: which items leave is drawn by their scores, and whole episodes are rewarded.

As in Memory as Action (arXiv 2510.12635): an episode is cut into segments at its edits, each with the context that was there
then, and all edits of it share the advantage of the episode over others of the same world. `one_prefix` computes the
gradient as if nothing had ever been deleted, which is what the paper compares with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.text.agents_context import Depots
from mnemos.text.agent.working import FRAME, RECORD
from mnemos.text.compress.base import Fold, Item, Room
from mnemos.text.compress.edits import FEATURES, ContextEdits, features
from mnemos.text.recall.context import estimate_tokens

Floats = NDArray[np.float64]
COST = 0.1  # of the reward: the mean share of the room that a context takes
GROUP = 6  # episodes of one world, whose mean reward is the baseline


@dataclass
class Episode:
    """The reward of an episode, and the gradient of the log-probability of each edit by the weights."""

    reward: float
    grads: list[Floats] = field(default_factory=list)


def train(
    seed: int, worlds: int, steps: int, tokens: int, *, rate: float = 6.0, one_prefix: bool = False
) -> ContextEdits:
    """Return the policy that REINFORCE finds on `worlds` development worlds, from weights of 0."""
    rng = np.random.default_rng(seed)
    weights = np.zeros(len(FEATURES))
    for number in range(worlds):
        world = Depots.draw(100_000 + 1_000 * seed + number, steps)
        group = [play(world, weights, tokens, rng, one_prefix=one_prefix) for _ in range(GROUP)]
        rewards = np.array([episode.reward for episode in group])
        spread = rewards.std() or 1.0
        for episode, reward in zip(group, rewards, strict=True):
            if episode.grads:
                weights += rate * (reward - rewards.mean()) / spread * np.mean(episode.grads, axis=0) / GROUP
    return replace(ContextEdits(), weights=tuple(float(round(w, 3)) for w in weights))


def play(world: Depots, weights: Floats, tokens: int, rng: np.random.Generator, *, one_prefix: bool) -> Episode:
    """Play an episode with items that are kept at random, by the exponential of their scores."""
    room = Room(tokens - FRAME, estimate_tokens, lambda state, texts, most: state, world.goal)
    items = [Item("goal", world.goal, estimate_tokens(world.goal) + RECORD, pinned=True)]
    past, episode, sizes = list(items), Episode(0.0), []
    for i, text in enumerate(world.texts):
        items.append(Item(str(i), text, estimate_tokens(text) + RECORD))
        past.append(items[-1])
        if sum(item.tokens for item in items) > room.tokens:
            kept, grad = _edit(items, past if one_prefix else items, weights, room, rng)
            episode.grads.append(grad)
            items = [item for item in items if item.id in kept]
        sizes.append(sum(item.tokens for item in items))
    shown = "\n".join(item.text for item in items)
    right = [(re.findall(rf"{key} (\d+)", shown, re.IGNORECASE) or [""])[-1] == v for key, v in world.wanted.items()]
    episode.reward = float(np.mean(right)) - COST * float(np.mean(sizes)) / room.tokens
    return episode


def _edit(
    items: Sequence[Item], seen: Sequence[Item], weights: Floats, room: Room, rng: np.random.Generator
) -> tuple[set[str], Floats]:
    """Draw the items that stay one after the other; return them and the gradient of the log-probability of the draw."""
    own = features(items, room)
    noisy = own @ weights + rng.gumbel(size=len(items))  # the order of these is a draw without replacement
    left = ContextEdits().target * room.tokens - sum(item.tokens for item in items if item.pinned)
    kept = {item.id for item in items if item.pinned}
    rows = own if seen is items else features(seen, room)
    place = {item.id: i for i, item in enumerate(seen)}
    open_ = [i for i, item in enumerate(seen) if not item.pinned]
    grad = np.zeros(len(weights))
    for i in sorted(range(len(items)), key=lambda i: (i == len(items) - 1, noisy[i]), reverse=True):
        if items[i].pinned or items[i].tokens > left:
            continue
        scores = rows[open_] @ weights
        chances = np.exp(scores - scores.max())
        grad += rows[place[items[i].id]] - chances @ rows[open_] / chances.sum()
        open_.remove(place[items[i].id])
        kept.add(items[i].id)
        left -= items[i].tokens
    return kept, grad


@dataclass(frozen=True)
class RandomEdits:
    """Keeps items at random: what a learned keep has to beat besides a window."""

    seed: int = 0
    fetch: int = 0

    def fold(self, items: Sequence[Item], room: Room) -> Fold | None:
        """Return a random choice of items once there is no room for all."""
        if sum(item.tokens for item in items) <= room.tokens:
            return None
        rng = np.random.default_rng([self.seed, len(items), *(ord(c) for c in items[-1].text[:8])])
        kept, _ = _edit(items, items, np.zeros(len(FEATURES)), room, rng)
        return Fold(tuple(item.id for item in items if item.id in kept))
