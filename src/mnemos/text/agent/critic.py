"""Critic: what to keep and what to change, from the differences between consecutive episodes. Pure functions.

The verbal reinforcement of FinCon (arXiv 2407.06567) by rules: what the better of two episodes did more often at a cue gains
by how much better that was, times the overlap of the two, the paper's learning rate: the fewer other things differ, the surer
it is that this made the difference. Deviation: better and worse are told apart at each cue, where the paper's critic
compares whole episodes and leaves the rest to a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

Key = tuple[str, str]  # a source, and what it said
Actions = Mapping[str, tuple[int, float]]  # by action: how often it was taken, and the sum of its rewards
Table = Mapping[Key, Actions]  # one episode


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of an episode: what a source said, what was done then, and what came of it."""

    source: str  # a feed, a tool, an analyst
    cue: str  # what it said
    action: str
    reward: float  # on any scale, the higher the better


@dataclass(slots=True)
class Leaning:
    """What the comparisons so far say about a cue."""

    values: dict[str, float] = field(default_factory=dict)  # by action, they sum up to 0
    change: int = 0  # the place of the episode since which the best action is the best

    @property
    def keep(self) -> str:
        """The action that did best."""
        return max(self.values, key=lambda action: self.values[action])

    @property
    def avoid(self) -> str:
        """The action that did worst."""
        return min(self.values, key=lambda action: self.values[action])


def tally(decisions: Iterable[Decision]) -> Table:
    """Return how often each action was taken at each cue of an episode, and the sum of its rewards."""
    found: dict[Key, dict[str, tuple[int, float]]] = {}
    for d in decisions:
        actions = found.setdefault((d.source, d.cue), {})
        count, total = actions.get(d.action, (0, 0.0))
        actions[d.action] = count + 1, total + d.reward
    return found


def overlap(a: Table, b: Table) -> float:
    """Return the share of decisions that are alike in two episodes, over the cues of both; 0 where they share none."""
    both = [(_shares(a[key]), _shares(b[key])) for key in a if key in b]
    return fmean(sum(min(p[x], q.get(x, 0.0)) for x in p) for p, q in both) if both else 0.0


class Leanings:
    """What the comparisons of each episode with the one before say so far, by cue."""

    def __init__(self) -> None:
        self.last: Table | None = None  # the last episode
        self.place = -1  # of the last episode
        self._found: dict[Key, Leaning] = {}

    def add(self, table: Table) -> None:
        """Compare the next episode with the one before. O(cues and actions of the two)."""
        before, self.last, self.place = self.last, table, self.place + 1
        if before is None:
            return
        rate = overlap(before, table)
        for key in table:
            if key in before:
                _move(self._found.setdefault(key, Leaning()), before[key], table[key], rate, self.place)

    def by_cue(self) -> dict[Key, Leaning]:
        """Return what is known of each cue of which anything is."""
        return {key: leaning for key, leaning in self._found.items() if any(leaning.values.values())}


def leanings(episodes: Sequence[Table]) -> dict[Key, Leaning]:
    """Return what all comparisons of an episode with the one before say, by cue. O(cues and actions of all episodes)."""
    found = Leanings()
    for table in episodes:
        found.add(table)
    return found.by_cue()


def _move(leaning: Leaning, before: Actions, after: Actions, rate: float, place: int) -> None:
    """Move the leaning towards what was done more often in the better one of two episodes."""
    old = leaning.keep if any(leaning.values.values()) else None
    p, q, gain = _shares(before), _shares(after), _mean(after) - _mean(before)
    for action in dict.fromkeys((*p, *q)):
        more = q.get(action, 0.0) - p.get(action, 0.0)
        leaning.values[action] = leaning.values.get(action, 0.0) + rate * gain * more
    if leaning.keep != old:
        leaning.change = place


def _shares(actions: Actions) -> dict[str, float]:
    total = sum(count for count, _ in actions.values())
    return {action: count / total for action, (count, _) in actions.items()}


def _mean(actions: Actions) -> float:
    return sum(total for _, total in actions.values()) / sum(count for count, _ in actions.values())
