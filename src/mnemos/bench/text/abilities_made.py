"""Histories for four abilities of a memory that is told once and asked often, seeded, each with its questions.

After MemoryAgentBench (arXiv 2507.05257), generated: accurate retrieval (codes of places in small talk), learning at test
time (labelled utterances, then others of the same intents), understanding the whole (a count, and a culprit that only
all exclusions together name), and conflicts (a later fact wins, by one hop and by two).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mnemos.bench.text.book import PLACES
from mnemos.bench.text.chatter import said
from mnemos.bench.text.synthetic_people import ATTRIBUTES, PEOPLE, PROJECTS, THINGS, half, say
from mnemos.bench.text.task import Expected, Haystack, Question

Asked = tuple[
    str, tuple[str, ...], Expected
]  # a question, the keys of the lines that answer it, what a right answer says
START = datetime(2024, 1, 1, tzinfo=UTC)
FRUITS = ("apples", "plums", "cherries", "figs", "quinces", "pears")
TOWNS = ("Lisbon", "Oslo", "Porto", "Bergen", "Turin", "Leeds", "Ghent", "Lyon", "Graz", "Tartu", "Cork", "Basel")
MAYORS = tuple(f"{first} Lund" for first in PEOPLE[12:])


def retrieval(rng: random.Random, noise: int) -> Haystack:
    """Return codes of places, told once each among `noise` lines of small talk."""
    places = rng.sample(PLACES, 20)
    codes = {place: f"{rng.randrange(1000, 10000)}" for place in places}
    lines = [(f"The access code of {place} is {code}.", place) for place, code in codes.items()]
    every = tuple(codes.values())
    asked: list[Asked] = [
        (f"What is the access code of {place}?", (place,), Expected((code,), every, (place,)))
        for place, code in codes.items()
    ]
    return made("accurate retrieval", rng, lines, noise, asked)


def learning(rng: random.Random, noise: int) -> Haystack:
    """Return utterances with made-up labels, eight for each of ten intents, and others to be labelled."""
    intents = rng.sample([a for a in ATTRIBUTES if "|" not in a.first[0]], 10)
    labels = {a.name: f"label-{rng.randrange(100, 1000)}" for a in intents}
    lines: list[tuple[str, str]] = []
    asked: list[Asked] = []
    for attribute in intents:
        for kind, templates in (("train", half(attribute.first, "dev")), ("test", half(attribute.first, "test"))):
            for template in templates[: 8 if kind == "train" else 3]:
                text = say(attribute, template, rng.choice(attribute.values), PEOPLE[0], PROJECTS[0], THINGS[0])
                if kind == "train":
                    lines.append((f'"{text}" has {labels[attribute.name]}.', f"{attribute.name}/{len(lines)}"))
                else:
                    expected = Expected((labels[attribute.name],), tuple(labels.values()))
                    asked.append((f'Which label has "{text}"?', (), expected))
    return made("test-time learning", rng, lines, noise, asked)


def understanding(rng: random.Random, noise: int) -> Haystack:
    """Return harvests of which one fruit is told of most, and alibis that leave one of the suspects."""
    order = rng.sample(FRUITS, len(FRUITS))
    lines = [
        (f"{rng.choice(PEOPLE)} picked {fruit} in the orchard today.", f"{fruit}/{number}")
        for place, fruit in enumerate(order)
        for number in range(24 - 4 * place)
    ]
    asked: list[Asked] = [
        ("Which fruit was picked in the orchard most often?", tuple(key for _, key in lines), Expected(tuple(order[:1]), FRUITS))
    ]  # fmt: skip
    for case in ("vase", "painting", "necklace"):
        suspects = rng.sample(PEOPLE, 14)
        alibis = [
            (f"{s} cannot have taken the {case}: {rng.choice(PLACES)} was full of witnesses.", s) for s in suspects[1:]
        ]
        lines += [(text, f"{case}/{s}") for text, s in alibis]
        gold = tuple(f"{case}/{s}" for _, s in alibis)
        asked.append(
            (
                f"Who is left that can have taken the {case}?",
                gold,
                Expected(tuple(suspects[:1]), tuple(suspects), (case,)),
            )
        )
    return made("whole", rng, lines, noise, asked)


def conflicts(rng: random.Random, noise: int) -> Haystack:
    """Return where people live and who is mayor where, each told up to four times, the last of which holds."""
    lives = {person: [rng.choice(TOWNS) for _ in range(rng.randrange(1, 5))] for person in PEOPLE[:12]}
    mayors = {town: rng.sample(MAYORS, rng.randrange(1, 4)) for town in TOWNS}
    lines = [(f"{p} lives in {town} now.", f"{p}/{i}") for p, towns in lives.items() for i, town in enumerate(towns)]
    lines += [
        (f"The mayor of {t} is {name}.", f"{t}/{i}") for t, names in mayors.items() for i, name in enumerate(names)
    ]
    asked: list[Asked] = []
    for person, towns in lives.items():
        home = (f"{person}/{len(towns) - 1}",)
        asked.append((f"Where does {person} live?", home, Expected((towns[-1],), TOWNS, (person,))))
        mayor, office = mayors[towns[-1]], (f"{towns[-1]}/{len(mayors[towns[-1]]) - 1}",)
        both = Expected((mayor[-1],), (*TOWNS, *MAYORS), (person,))
        asked.append((f"Who is the mayor of the town where {person} lives?", home + office, both))
    return made("conflicts", rng, lines, noise, asked)


def made(
    name: str,
    rng: random.Random,
    lines: list[tuple[str, str]],
    noise: int,
    asked: Sequence[Asked],
) -> Haystack:
    """Return lines in random order (those of one key prefix in theirs) among small talk, and the questions."""
    places = sorted(rng.random() for _ in lines)
    order = sorted(lines, key=lambda line: rng.random())
    queues: dict[str, Iterator[tuple[str, str]]] = {}
    for line in lines:
        prefix = line[1].partition("/")[0]
        if prefix not in queues:
            queues[prefix] = iter([each for each in lines if each[1].partition("/")[0] == prefix])
    told = [(place, *next(queues[key.partition("/")[0]])) for place, (_, key) in zip(places, order, strict=True)]
    told += [(rng.random(), said(rng), f"noise/{number}") for number in range(noise)]
    messages: list[dict[str, Any]] = [
        {"id": key, "content": text, "at": START + timedelta(minutes=number)}
        for number, (_, text, key) in enumerate(sorted(told))
    ]
    end = START + timedelta(minutes=len(told) + 1)
    questions = [
        Question(f"{name}/{i}", text, {"line": gold}, kind_of(name, text), "made", end, expected=expected)
        for i, (text, gold, expected) in enumerate(asked)
    ]
    return Haystack(name, messages, questions)


def kind_of(name: str, text: str) -> str:
    """Return the category of a question: its ability, and for some the kind of question."""
    if name == "conflicts":
        return "conflicts, two hops" if "the town where" in text else "conflicts, one hop"
    if name == "whole":
        return "whole, count" if "most often" in text else "whole, culprit"
    return name


ABILITIES = (retrieval, learning, understanding, conflicts)
