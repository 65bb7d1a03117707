"""A team that decides day after day in a world with hidden rules: what beliefs, their spreading and a risk trigger do.

Each day five sources say one of four things; a hidden rule gives each of these a direction. The move of the day is the mean
of the directions and noise. An analyst per source votes up, down or nothing, the position is the mean vote, and the profit
of the day, position times move, is what comes of every vote. An analyst knows only the beliefs that it was told; it follows
them, but tries something else in an episode at one cue of five, and where it knows nothing. In a crisis, which lasts for a
week or so, moves are three times as large and against the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean
from typing import Literal

from mnemos.space import Space
from mnemos.text.agent.beliefs import Belief
from mnemos.text.agent.critic import Decision
from mnemos.text.agent.risk import is_risky, tail_mean

SOURCES = ("news", "filings", "calls", "prices", "orders")
CUES = ("rises", "falls", "turns", "rests")
VOTES = {"buy": 1.0, "sell": -1.0, "wait": 0.0}
TRIES = 0.2  # of the cues, an episode
Spread = Literal["none", "own", "all", "random"]


@dataclass
class World:
    """Hidden rules, and days drawn by them."""

    rng: Random
    directions: dict[tuple[str, str], int] = field(default_factory=dict)

    @staticmethod
    def draw(seed: int) -> World:
        """Return a world: in each, half of the cues go up."""
        rng = Random(seed)
        keys = [(source, cue) for source in SOURCES for cue in CUES]
        signs = [1, -1] * (len(keys) // 2)
        rng.shuffle(signs)
        return World(rng, dict(zip(keys, signs, strict=True)))

    def day(self, scale: float = 1.0) -> tuple[dict[str, str], float]:
        """Return what the sources say, and the move of the day."""
        said = {source: self.rng.choice(CUES) for source in SOURCES}
        move = scale * sum(self.directions[item] for item in said.items()) / len(SOURCES)
        return said, move + self.rng.gauss(0.0, 0.4)


@dataclass
class Played:
    """Rewards of episodes, a day on average, and the messages that were sent."""

    rewards: list[float] = field(default_factory=list)
    messages: int = 0


def play(space: Space, spread: Spread, seed: int, episodes: int, days: int) -> Played:
    """Play episodes; after each the team learns, and analysts are told beliefs: their own, all, or as many at random."""
    world, rng, played = World.draw(seed), Random(seed + 1), Played()
    name = f"{spread} {seed}"
    team = space.beliefs(name)
    analysts = {s: space.beliefs(name, agent=s, sources=[s] if spread != "all" else []) for s in SOURCES}
    told: dict[str, dict[tuple[str, str], str]] = {source: {} for source in SOURCES}
    for number in range(1, episodes + 1):
        plan = {
            key: rng.choice(list(VOTES)) if key not in told[key[0]] or rng.random() < TRIES else told[key[0]][key]
            for key in world.directions
        }
        decisions, total = list[Decision](), 0.0
        for _ in range(days):
            said, move = world.day()
            profit = move * fmean(VOTES[plan[item]] for item in said.items())
            total += profit
            decisions += [Decision(source, cue, plan[source, cue], profit) for source, cue in said.items()]
        played.rewards.append(total / days)
        if spread != "none":
            team.learn(decisions)
            for source, analyst in analysts.items():
                for belief in analyst.changed(number - 1):
                    reader = rng.choice(SOURCES) if spread == "random" else source
                    _tell(told[reader], belief)
                    played.messages += 1
    return played


def _tell(known: dict[tuple[str, str], str], belief: Belief) -> None:
    known[belief.source, belief.cue] = belief.keep


Trigger = Callable[[Sequence[float]], bool]


def trade(seed: int, days: int, trigger: Trigger) -> tuple[list[float], int]:
    """Return the profits of a team that knows all rules, and the days on which it took a tenth of its position.

    The trigger is asked before each day, with the profits so far.
    """
    world, rng, profits = World.draw(seed), Random(seed + 2), list[float]()
    crisis, careful = False, 0
    for _ in range(days):
        crisis = rng.random() < (0.85 if crisis else 0.02)
        said, move = world.day(-3.0 if crisis else 1.0)
        votes = fmean(world.directions[item] for item in said.items())
        is_careful = trigger(profits)
        careful += is_careful
        profits.append(move * votes * (0.1 if is_careful else 1.0))
    return profits, careful


def risks(seed: int, days: int) -> dict[str, tuple[float, float, float]]:
    """Return by trigger the mean profit of a day, the mean of the worst twentieth, and the share of careful days."""
    found = {"none": trade(seed, days, lambda profits: False), "risk trigger": trade(seed, days, is_risky)}
    share, rng = found["risk trigger"][1] / days, Random(seed + 3)
    found["as many days at random"] = trade(seed, days, lambda profits: rng.random() < share)
    return {name: (fmean(profits), tail_mean(profits), careful / days) for name, (profits, careful) in found.items()}
