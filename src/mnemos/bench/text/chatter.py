"""Small talk without end, in plain English, seeded: what the evidence of generated sets is buried in.

It names things, places and days, and states nothing about the people of `synthetic_people`.
"""

from __future__ import annotations

import random

THINGS = (
    "the garden", "an old bicycle", "a box of records", "the attic", "a pair of boots", "the fence", "a clay oven",
    "the balcony", "a jigsaw puzzle", "the printer", "a bag of apples", "the hedge", "a wooden chair", "the curtains",
    "a camping stove", "the radio", "a stack of letters", "the bookshelf", "a broken kettle", "the doorbell",
)  # fmt: skip
TOPICS = (
    "bees", "old bridges", "sourdough", "the tides", "steam engines", "mushrooms", "lighthouses", "crossword puzzles",
    "volcanoes", "stamps", "trams", "beekeeping", "map making", "the moon landing", "owls", "clock towers", "pottery",
    "paper planes", "ferns", "whales", "the history of salt", "kites", "glass blowing", "windmills",
)  # fmt: skip
WHEN = (
    "this morning",
    "after lunch",
    "on the way home",
    "all weekend",
    "for an hour",
    "before breakfast",
    "last night",
)
HOW = ("slowly", "with a neighbour", "in the rain", "without a plan", "twice", "by candlelight", "with great care")
SAID = (
    "I spent some time on {t} {w}.", "I read a piece on {o} {w}.", "I tried to mend {t} {h}.", "We talked about {o} {w}.",
    "There was a programme on {o}, I listened {h}.", "I moved {t} into the hall {w}.", "Somebody asked me about {o} {w}.",
    "I cleaned {t} {h} {w}.", "A friend knows everything about {o}.", "I painted {t} {w}, {h}.",
)  # fmt: skip
ANSWERED = (
    "That sounds like a good way to spend the time.", "What did you find out about {o}?", "How did it go with {t}?",
    "I can look up something on {o} if you like.", "Did it take long?", "Some people say {o} takes a lifetime to learn.",
    "Would you like a list of things to try with {t}?", "That is a nice thing to do {w}.",
)  # fmt: skip


def said(rng: random.Random) -> str:
    """Return something that a user says in passing."""
    return _filled(rng, SAID)


def answered(rng: random.Random) -> str:
    """Return what an assistant replies to small talk."""
    return _filled(rng, ANSWERED)


def _filled(rng: random.Random, templates: tuple[str, ...]) -> str:
    words = {"t": rng.choice(THINGS), "o": rng.choice(TOPICS), "w": rng.choice(WHEN), "h": rng.choice(HOW)}
    return rng.choice(templates).format(**words)
