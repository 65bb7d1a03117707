"""A stream of tasks in which surface similarity misleads, and agents that choose what they did before.

A task has a hidden kind, of six; one of its words gives the kind away (each kind has three such words), six others are of
a topic that says nothing of it. Each kind has one plan that works. An agent follows what most of the cases say that it finds,
counting successes for their plan and failures against it; it tries a random plan where nothing speaks for any, and once in
twenty tasks. In the last fifth of the stream the topics are new.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Literal

from mnemos.space import Space

KINDS, SIGNS, TOPICS, WORDS_OF_TOPIC = 6, 3, 12, 9
NEW = 0.8  # of the stream: from here on the topics are new
Memory = Literal["learned", "nearest", "none"]


def stream(seed: int, tasks: int) -> list[tuple[str, str]]:
    """Return tasks as (situation, the plan that works)."""
    rng = Random(seed)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = rng.sample([a + b + c for a in syllables for b in syllables[:20] for c in ("n", "r", "x")], 600)
    signs = [[words.pop() for _ in range(SIGNS)] for _ in range(KINDS)]
    topics = [[words.pop() for _ in range(WORDS_OF_TOPIC)] for _ in range(TOPICS)]
    found = []
    for i in range(tasks):
        kind = rng.randrange(KINDS)
        topic = topics[rng.randrange(TOPICS // 2) + (TOPICS // 2 if i >= NEW * tasks else 0)]
        text = [*rng.sample(topic, 6), rng.choice(signs[kind])]
        rng.shuffle(text)
        found.append((" ".join(text), f"use procedure {kind}"))
    return found


def play(space: Space, memory: Memory, seed: int, tasks: int, k: int) -> list[bool]:
    """Return for each task of a stream whether the agent succeeded."""
    rng, bank = Random(seed + 1), space.cases(f"{memory} {seed} {k}")
    plans = [f"use procedure {kind}" for kind in range(KINDS)]
    right: list[bool] = []
    for situation, works in stream(seed, tasks):
        found = [] if memory == "none" else bank.find(situation, k, how=memory)
        votes: dict[str, float] = defaultdict(float)
        for case in found:
            votes[case.plan] += (case.reward - 0.5) if memory == "nearest" else case.chance - 1 / KINDS
        best = max(votes, key=lambda plan: votes[plan], default="")
        free = not votes or votes[best] <= 0 or rng.random() < 0.05
        plan = rng.choice([p for p in plans if votes.get(p, 0) >= 0] or plans) if free else best
        right.append(plan == works)
        if memory != "none":
            used = [case.id for case in found if case.plan == plan]
            if used:
                bank.outcome(situation, used, float(right[-1]))
            bank.add(situation, plan, reward=float(right[-1]))
    return right
