"""A memory by places: entries of one place are a chunk, and a full memory drops what a strategy says, which can be learned.

N entries   K coordinates   V channels of a value   P places that are held
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.slots.base import asked, checked
from mnemos.registry import Paper, register

Strategy = Literal["oldest", "newest", "most visited", "least visited"]
PAPER = Paper("Spatially-Aware Transformer for Embodied Agents", "2402.15160", "junmokane/spatially-aware-transformer")


@register("place-memory", papers=(PAPER,), task="slot-readers")
class PlaceMemory:
    """Keeps what was seen where and when, and answers a place in two steps: the nearest place, then what was seen there last.

    A place is a cell of a grid. Place summary = mean of its coordinates (arXiv 2402.15160). When there are more than
    `size` entries one is dropped: the oldest of all, the newest, or the oldest of the place with the most or the fewest
    entries. Costs O(size K) a write or read. Departure: the paper trains attention over embeddings of time and space; here
    the two steps are exact.
    """

    def __init__(
        self,
        key: int,  # K
        value: int,  # V
        size: int = 16,  # entries, at most
        drop: Strategy = "most visited",  # which entry is dropped
        spatial: bool = True,  # read by place; False: by time alone, the newest entry (the baseline)
        cell: float = 1.0,  # side of a place
    ) -> None:
        if size < 1 or cell <= 0 or drop not in get_args(Strategy):
            raise InvalidInput(
                f"size is {size}, cell {cell}, drop {drop!r}: give positive numbers and one of {', '.join(get_args(Strategy))}."
            )
        self.key, self.value, self.size, self.drop, self.spatial, self.cell = key, value, size, drop, spatial, cell
        self.keys, self.values = torch.zeros(0, key), torch.zeros(0, value)
        self.times: list[int] = []
        self.where: list[tuple[int, ...]] = []  # the place of each entry
        self.now = 0  # entries that were written

    def __len__(self) -> int:
        """Return how many entries are held."""
        return len(self.times)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Take values (N, V) seen at coordinates (N, K), one after the other."""
        checked(keys, values, self.key, self.value)
        places = torch.floor(keys / self.cell).long().tolist()
        for key, value, place in zip(keys.split(1), values.split(1), places, strict=True):
            self.keys, self.values = torch.cat([self.keys, key]), torch.cat([self.values, value])
            self.times.append(self.now)
            self.where.append(tuple(place))
            self.now += 1
            if len(self) > self.size:
                self.forget(self.dropped())

    def dropped(self) -> int:
        """Return the entry that goes."""
        if self.drop in ("oldest", "newest"):
            return 0 if self.drop == "oldest" else len(self) - 1
        counts = {place: self.where.count(place) for place in self.where}  # in the order of their oldest entries
        choose = max if self.drop == "most visited" else min
        return self.where.index(choose(counts, key=lambda place: counts[place]))

    def forget(self, at: int) -> None:
        """Drop an entry."""
        self.keys, self.values = (torch.cat([t[:at], t[at + 1 :]]) for t in (self.keys, self.values))
        del self.times[at], self.where[at]

    def read(self, keys: Tensor) -> Tensor:
        """Return what was seen last (M, V) at the places nearest to coordinates (M, K)."""
        asked(keys, self.key, len(self))
        if not self.spatial:
            return self.values[-1:].expand(len(keys), -1)
        newest = {place: i for i, place in enumerate(self.where)}
        summaries = torch.stack([self.keys[[p == place for p in self.where]].mean(0) for place in newest])
        nearest = torch.cdist(keys, summaries).argmin(1)
        return self.values[torch.tensor(list(newest.values()))[nearest]]

    def at(self, times: Sequence[int]) -> Tensor:
        """Return what was seen (M, V) nearest to each of M times, counted in writes. Raises InvalidInput while empty."""
        if not self.times:
            raise InvalidInput("nothing is held yet: call `write` first.")
        held = torch.tensor(self.times)
        return self.values[(torch.tensor(times)[:, None] - held).abs().argmin(1)]


@register("memory-allocator", papers=(PAPER,), task="slot-readers")
class Allocator:
    """Learns which strategy drops the right entries for a task that is announced, from rewards alone (arXiv 2402.15160).

    Q(task, strategy) <- Q + rate (reward - Q), and the strategy with the highest Q is chosen, except with probability
    `explore`. An episode has one choice, so this is Q-learning with one step. Holds a number for each task and strategy.
    """

    def __init__(
        self,
        strategies: Sequence[str] = get_args(Strategy),  # to choose from
        rate: float = 0.2,  # how far a value moves to a reward
        explore: float = 0.2,  # share of choices at random
        seed: int = 0,  # of these
    ) -> None:
        if not strategies or not 0 < rate <= 1 or not 0 <= explore <= 1:
            raise InvalidInput(f"{len(strategies)} strategies, rate {rate}, explore {explore}: give one, and shares.")
        self.strategies, self.rate, self.explore = tuple(strategies), rate, explore
        self.values: dict[tuple[str, str], float] = {}
        self.random = random.Random(seed)

    def choose(self, task: str, explore: bool = True) -> str:
        """Return a strategy for a task."""
        if explore and self.random.random() < self.explore:
            return self.random.choice(self.strategies)
        return max(self.strategies, key=lambda strategy: self.values.get((task, strategy), 1.0))

    def learn(self, task: str, strategy: str, reward: float) -> None:
        """Take the reward of an episode, 1 at best: what was never tried counts as 1, so that it is tried."""
        if strategy not in self.strategies:
            raise InvalidInput(f"there is no strategy {strategy!r}: choose from {', '.join(self.strategies)}.")
        before = self.values.get((task, strategy), 1.0)
        self.values[task, strategy] = before + self.rate * (reward - before)
