"""Beliefs: what a team of agents holds to be right in which situation, revised after each episode.

The conceptual verbal reinforcement of FinCon (arXiv 2407.06567): the decisions of consecutive episodes are compared, what
the better one did becomes a belief in words, and each belief goes only to the agents whose source it is about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.arguments import check_count, check_number, check_optional, check_text, check_texts
from mnemos.cube import Hit, MemCube
from mnemos.errors import InvalidInput
from mnemos.guard.key import key_of
from mnemos.guard.trust import trust_of_source
from mnemos.text.agent.critic import Decision, Leaning, Table, leanings, tally
from mnemos.text.agent.shelf import Shelf
from mnemos.text.context import withheld
from mnemos.text.memory import TextMemory
from mnemos.text.recall.context import Count, pack

EPISODE, BELIEF = "agent-episode", "agent-belief"  # kinds of the cubes


@dataclass(frozen=True, slots=True)
class Belief:
    """What to do when a source says something, as far as episodes have shown."""

    id: str
    source: str
    cue: str
    keep: str  # the action that did best
    avoid: str  # the action that did worst
    gain: float  # how much better than the worst it did, summed up over comparisons
    episode: int  # the number of the episode since which it says so
    text: str


class Beliefs:
    """The beliefs of a team: get them from `Space.beliefs(name)`, in any process. Several agents may read and learn.

    Episodes are cubes of the kind `agent-episode`, beliefs cubes of the kind `agent-belief` derived from them: an erased episode
    takes its beliefs along, and those that the others teach are written again. `sources` are what this agent is concerned
    with; without them all beliefs are.
    """

    def __init__(self, memory: TextMemory, name: str, agent: str | None, sources: Sequence[str]) -> None:
        self.name, self.agent = check_text(name, "name"), check_optional(agent, "agent")
        self.sources = tuple(check_texts(sources, "sources"))
        self._memory = memory
        self._episodes, self._beliefs = Shelf(memory, EPISODE, self.name), Shelf(memory, BELIEF, self.name)
        self._token, self._known = object(), list[Belief]()

    def learn(
        self, decisions: Iterable[Decision], *, source: str | None = None, of: Sequence[str] = ()
    ) -> list[Belief]:
        """Store an episode, compare it with the one before, and return the beliefs that it changed, of all sources.

        `source` says where its texts were read (see `Space.trust`), `of` are ids of cubes that it was made of: it is erased
        with them. Raises InvalidInput.
        """
        table = tally(map(_checked, decisions))
        if not table:
            raise InvalidInput("decisions is empty: give those of a whole episode.")
        rows = [[*key, [[action, *found] for action, found in actions.items()]] for key, actions in table.items()]
        with self._memory.store.transaction():
            past = self._episodes.cubes()
            number = 1 + max((int(cube.metadata["number"]) for cube in past), default=0)
            reward = sum(total for actions in table.values() for _, total in actions.values())
            draft = self._episodes.draft(
                f"Episode {number} of {self.name}: {reward:.6g} in all.", {"number": number, "decisions": rows},
                speaker=self.agent, source=source, parents=check_texts(of, "of"),
            )  # fmt: skip
            self._episodes.write([draft])
            return [belief for belief in self._read() if belief.episode == number]

    def all(self) -> list[Belief]:
        """Return the beliefs that concern this agent, in the order in which they changed last."""
        return sorted(filter(self._concerns, self._read()), key=lambda belief: belief.episode)

    def changed(self, since: int) -> list[Belief]:
        """Return the beliefs that concern this agent and changed after the episode `since`: what it has to be told."""
        return [belief for belief in self.all() if belief.episode > check_count(since, "since", least=0)]

    def advice(self, source: str, cue: str) -> str | None:
        """Return the action that did best when a source said this; None where nothing is known."""
        key = check_text(source, "source"), check_text(cue, "cue")
        return next((belief.keep for belief in self.all() if (belief.source, belief.cue) == key), None)

    def prompt(self, *, tokens: int = 600, count: Count | None = None) -> str:
        """Return the beliefs that concern this agent as a block for a prompt, the surest first, marked as data.

        What `Space.context` would withhold is withheld. "" where there is none.
        """
        beliefs = sorted(self.all(), key=lambda belief: -belief.gain)
        store = self._memory.store
        cubes = store.get([belief.id for belief in beliefs])
        hits = [Hit(cubes[belief.id], 0.0, {}) for belief in beliefs if belief.id in cubes]
        bad = withheld(self._memory, "", hits)
        rows = zip(store.keys_of([hit.cube.id for hit in hits]), hits, strict=True)
        return pack([(row, hit) for row, hit in rows if hit.cube.id not in bad], {}, tokens, count, key_of(store))

    # -- parts

    def _concerns(self, belief: Belief) -> bool:
        return not self.sources or belief.source in self.sources

    def _read(self) -> list[Belief]:
        """Return all beliefs; what the episodes teach and no cube says is written. O(decisions) where something changed."""
        store = self._memory.store
        token = store.change_token()
        if token is None or token != self._token:
            with store.transaction(write=False):
                known, missing = self._compare()
            if missing and not store.read_only:
                with store.transaction():
                    self._beliefs.write(self._compare()[1])  # another agent may have written them in the meantime
                    known, _ = self._compare()
            self._known, self._token = known, token
        return self._known

    def _compare(self) -> tuple[list[Belief], list[MemCube]]:
        """Return the beliefs that the episodes teach and cubes say, and the cubes that are missing."""
        episodes = self._episodes.cubes()
        tables = [_table(cube) for cube in episodes]
        cubes = {(str(c.metadata["source"]), str(c.metadata["cue"])): c for c in self._beliefs.cubes()}
        found, missing = list[Belief](), list[MemCube]()
        for key, leaning in leanings(tables).items():
            number = int(episodes[leaning.change].metadata["number"])
            about = {"source": key[0], "cue": key[1], "keep": leaning.keep, "avoid": leaning.avoid, "episode": number}
            old = cubes.get(key)
            if old is not None and {name: old.metadata.get(name) for name in about} == about:
                found.append(_belief(old, leaning))
                continue
            new = self._draft(about, [cube for cube, table in zip(episodes, tables, strict=True) if key in table])
            missing.append(new if old is None else self._beliefs.next(old, new))
        return found, missing

    def _draft(self, about: dict[str, Any], made_of: Sequence[MemCube]) -> MemCube:
        text = f"When {about['source']} says {about['cue']!r}: {about['keep']}, not {about['avoid']}."
        source = min((c.source for c in made_of if c.source), key=trust_of_source, default=None)
        return self._beliefs.draft(text, about, speaker=self.agent, source=source, parents=[c.id for c in made_of])


def _checked(decision: Decision) -> Decision:
    for name in ("source", "cue", "action"):
        check_text(getattr(decision, name), name)
    if not math.isfinite(check_number(decision.reward, "reward")):
        raise InvalidInput(f"reward is {decision.reward!r}, expected a finite number.")
    return decision


def _table(cube: MemCube) -> Table:
    return {
        (str(source), str(cue)): {str(action): (int(n), float(total)) for action, n, total in actions}
        for source, cue, actions in cube.metadata["decisions"]
    }


def _belief(cube: MemCube, leaning: Leaning) -> Belief:
    data, gain = cube.metadata, leaning.values[leaning.keep] - leaning.values[leaning.avoid]
    return Belief(
        cube.id, data["source"], data["cue"], data["keep"], data["avoid"], gain, int(data["episode"]), cube.text
    )
