"""Beliefs: what a team of agents holds to be right in which situation, revised after each episode.

The conceptual verbal reinforcement of FinCon (arXiv 2407.06567): the decisions of consecutive episodes are compared, what
the better one did becomes a belief in words, and each belief goes only to the agents whose source it is about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mnemos.arguments import check_count, check_number, check_optional, check_text, check_texts
from mnemos.cube import Hit, MemCube
from mnemos.errors import InvalidInput, StoreBusy
from mnemos.guard.key import key_of
from mnemos.text.agent.critic import Decision, Key, tally
from mnemos.text.agent.episodes import EPISODE, Episodes, Taught
from mnemos.text.agent.learned import Pool
from mnemos.text.agent.shelf import Shelf, rows_of
from mnemos.text.context import withheld
from mnemos.text.memory import TextMemory
from mnemos.text.recall.context import Count, pack

BELIEF = "agent-belief"  # kind of the cubes
TRIES = 20  # of writing what was learned while others teach


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

    def __init__(
        self, memory: TextMemory, episodes: Pool[Episodes], name: str, agent: str | None, sources: Sequence[str]
    ) -> None:
        self.name, self.agent = check_text(name, "name"), check_optional(agent, "agent")
        self.sources = tuple(check_texts(sources, "sources"))
        self._memory = memory
        self._learned = episodes
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
        reward = sum(total for actions in table.values() for _, total in actions.values())
        with self._learned.use(self.name) as learned:
            last, after = max(learned.numbers, default=0), int(learned.keys[-1]) if len(learned.keys) else 0
        with self._memory.store.transaction():
            newer = rows_of(self._memory, self._episodes.filter, after)  # another agent may have been faster
            number = 1 + max((int(cube.metadata["number"]) for _, cube in newer), default=last)
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
        """Return all beliefs; what the episodes teach and no cube says is written. O(beliefs + what is new) after a change."""
        store = self._memory.store
        token = store.change_token()
        if token is not None and token == self._token:
            return self._known
        for _ in range(TRIES):
            with self._learned.use(self.name) as learned:
                taught, keys = learned.taught(), learned.keys
            known, missing = self._compare(taught)
            if not missing or store.read_only:
                break
            with store.transaction():
                if np.array_equal(learned.stored(), keys):  # else another agent learned something: look again
                    self._beliefs.write(self._compare(taught)[1])
                    known, _ = self._compare(taught)
                    break
        else:
            raise StoreBusy(f"other agents taught {self.name!r} {TRIES} times in a row. Try again.")
        self._known, self._token = known, token
        return known

    def _compare(self, taught: Mapping[Key, Taught]) -> tuple[list[Belief], list[MemCube]]:
        """Return the beliefs that the episodes teach and cubes say, and the cubes that are missing."""
        cubes = {(str(c.metadata["source"]), str(c.metadata["cue"])): c for c in self._beliefs.cubes()}
        found, missing = list[Belief](), list[MemCube]()
        for (source, cue), what in taught.items():
            about = {"source": source, "cue": cue, "keep": what.keep, "avoid": what.avoid, "episode": what.episode}
            old = cubes.get((source, cue))
            if old is not None and {name: old.metadata.get(name) for name in about} == about:
                found.append(Belief(old.id, source, cue, what.keep, what.avoid, what.gain, what.episode, old.text))
                continue
            text = f"When {source} says {cue!r}: {what.keep}, not {what.avoid}."
            new = self._beliefs.draft(text, about, speaker=self.agent, source=what.source, parents=what.ids)
            missing.append(new if old is None else self._beliefs.next(old, new))
        return found, missing


def _checked(decision: Decision) -> Decision:
    for name in ("source", "cue", "action"):
        check_text(getattr(decision, name), name)
    if not math.isfinite(check_number(decision.reward, "reward")):
        raise InvalidInput(f"reward is {decision.reward!r}, expected a finite number.")
    return decision
