"""Episodes of a team in RAM: what their comparisons say of each cue, brought up to date by what is new."""

from __future__ import annotations

from dataclasses import dataclass, field

from mnemos.cube import MemCube
from mnemos.guard.trust import trust_of_source
from mnemos.text.agent.critic import Key, Leanings, Table
from mnemos.text.agent.learned import Learned

EPISODE = "agent-episode"  # kind of the cubes


@dataclass(slots=True)
class Seen:
    """The episodes in which a cue was seen."""

    ids: list[str] = field(default_factory=list)
    source: str | None = None  # the least trusted one of their texts


@dataclass(frozen=True, slots=True)
class Taught:
    """What the episodes say of a cue."""

    keep: str  # the action that did best
    avoid: str  # the action that did worst
    gain: float  # how much better than the worst it did
    episode: int  # the number of the episode since which it says so
    ids: tuple[str, ...]  # of the episodes
    source: str | None  # the least trusted one


class Episodes(Learned):
    """What the episodes of one team taught."""

    kinds = (EPISODE,)

    def reset(self) -> None:
        """Forget all episodes."""
        self.numbers: list[int] = []
        self._leanings = Leanings()
        self._seen: dict[Key, Seen] = {}

    def learn(self, rows: list[tuple[int, MemCube]]) -> None:
        """Compare each new episode with the one before. O(decisions of the new ones)."""
        for _, cube in rows:
            table = _table(cube)
            self.numbers.append(int(cube.metadata["number"]))
            self._leanings.add(table)
            for key in table:
                seen = self._seen.setdefault(key, Seen())
                seen.ids.append(cube.id)
                if cube.source:
                    seen.source = min(filter(None, (seen.source, cube.source)), key=trust_of_source)

    def taught(self) -> dict[Key, Taught]:
        """Return what is known of each cue. O(cues and episodes that they were seen in)."""
        found = {}
        for key, leaning in self._leanings.by_cue().items():
            gain, seen = leaning.values[leaning.keep] - leaning.values[leaning.avoid], self._seen[key]
            number = self.numbers[leaning.change]
            found[key] = Taught(leaning.keep, leaning.avoid, gain, number, tuple(seen.ids), seen.source)
        return found


def _table(cube: MemCube) -> Table:
    return {
        (str(source), str(cue)): {str(action): (int(n), float(total)) for action, n, total in actions}
        for source, cue, actions in cube.metadata["decisions"]
    }
