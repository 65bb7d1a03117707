"""Tasks for real models: contexts in words, with questions that only the context answers.

Each maker takes the prose, a generator of random numbers, and a function that says whether a context still fits; it
returns a context and the questions about it. Facts in prose are RULER's needles with several keys (arXiv 2404.06654);
several questions over one context follow SCBench (arXiv 2412.10319).
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mnemos.errors import InvalidInput

NAMES = (
    "Alice", "Bruno", "Clara", "Dmitri", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Karin", "Leo", "Marta",
    "Nils", "Olga", "Pablo", "Rita", "Simon", "Tessa", "Viktor",
)  # fmt: skip
CITIES = (
    "Lisbon",
    "Oslo",
    "Madrid",
    "Cairo",
    "Delhi",
    "Tokyo",
    "Berlin",
    "Vienna",
    "Prague",
    "Boston",
    "Chicago",
    "Dublin",
)
ANIMALS = ("parrot", "goat", "horse", "rabbit", "snake", "turtle", "donkey", "hamster", "pig", "duck", "cat", "dog")
TRADES = ("baker", "lawyer", "nurse", "farmer", "painter", "pilot", "dentist", "sailor", "teacher", "tailor")
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "brown", "black", "white", "pink", "grey")
DISHES = ("rice", "soup", "fish", "cheese", "bread", "pasta", "salad", "chicken", "eggs", "cake")
WORDS = (
    "river", "window", "garden", "silver", "mountain", "engine", "pepper", "bottle", "forest", "candle", "marble",
    "winter", "ladder", "rocket", "butter", "castle", "copper", "island", "mirror", "needle", "orange", "paper",
    "rabbit", "summer", "thunder", "valley", "wagon", "yellow", "anchor", "basket", "camera", "dragon",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One question, the words that its answer begins with, and the answer."""

    ask: str
    cue: str  # said for the model, as instructed models would repeat it
    answer: str  # begins with its space
    choices: tuple[str, ...] = ()  # the answers to choose from; none: the model says it by itself


@dataclass(frozen=True)
class Passage:
    """A context and its questions."""

    context: str
    questions: tuple[Question, ...]


Maker = Callable[[Iterator[str], random.Random, "Fits"], Passage]
Fits = Callable[[str], bool]  # whether a context is not too long

# statement, question, cue, answers
FACTS: tuple[tuple[str, str, str, Sequence[str]], ...] = (
    ("{name} lives in {answer}.", "Where does {name} live?", "{name} lives in", CITIES),
    ("{name} has a {answer} at home.", "Which animal does {name} have?", "{name} has a", ANIMALS),
    ("{name} works as a {answer}.", "What is the work of {name}?", "{name} works as a", TRADES),
    ("{name}'s favourite colour is {answer}.", "What is {name}'s favourite colour?", "{name}'s favourite colour is", COLOURS),
    ("{name} likes to eat {answer}.", "What does {name} like to eat?", "{name} likes to eat", DISHES),
    ("The password of {name} is {answer}.", "What is the password of {name}?", "The password of {name} is", WORDS),
    ("{name}'s room has the number {answer}.", "Which number does {name}'s room have?", "{name}'s room has the number", ()),
)  # fmt: skip


def facts(prose: Iterator[str], rng: random.Random, fits: Fits, count: int = 9) -> Passage:
    """Return facts about people at random places between the sentences of a book."""
    names = rng.sample(NAMES, count)
    kinds = [FACTS[i % len(FACTS)] for i in range(count)]
    rng.shuffle(kinds)
    stated, asked = [], []
    for name, (says, ask, cue, pool) in zip(names, kinds, strict=True):
        answer = rng.choice(pool) if pool else str(rng.randrange(100, 1000))
        stated.append(says.format(name=name, answer=answer))
        asked.append(Question(ask.format(name=name), cue.format(name=name), f" {answer}"))
    context = scattered(prose, rng, fits, stated)
    rng.shuffle(asked)
    return Passage(context, tuple(asked))


def keys(prose: Iterator[str], rng: random.Random, fits: Fits, count: int = 4) -> Passage:
    """Return facts of one kind, in whose questions only the name differs."""
    says, ask, cue, pool = FACTS[rng.choice((0, 1, 5))]
    names, answers = rng.sample(NAMES, count), rng.sample(pool, count)
    stated = [says.format(name=name, answer=answer) for name, answer in zip(names, answers, strict=True)]
    asked = [
        Question(ask.format(name=name), cue.format(name=name), f" {answer}")
        for name, answer in zip(names, answers, strict=True)
    ]
    return Passage(scattered(prose, rng, fits, stated), tuple(asked))


def table(prose: Iterator[str], rng: random.Random, fits: Fits) -> Passage:
    """Return a table of two people in the middle of a novel; a row is asked for by its name."""
    columns = (
        ("city", CITIES),
        ("animal", ANIMALS),
        ("work", TRADES),
        ("colour", COLOURS),
        ("dish", DISHES),
        ("password", WORDS),
    )
    lines = ["| | {} | {} |".format(*rng.sample(NAMES, 2)), "| --- | --- | --- |"]
    asked = []
    for name, pool in rng.sample(columns, len(columns)):
        answer = " {} | {} |".format(*rng.sample(pool, 2))
        lines.append(f"| {name} |{answer}")
        asked.append(Question("", f"| {name} |", answer))
    rows = "\n".join(lines)
    around = fill(prose, rows, fits)
    half = len(around) // 2
    return Passage(f"{' '.join(around[:half])}\n\n{rows}\n\n{' '.join(around[half:])}\n", tuple(asked))


def code(prose: Iterator[str], rng: random.Random, fits: Fits) -> Passage:
    """Return settings between the functions of a real program, from Python's own library."""
    settings = (("MAX_USERS =", ()), ("TIMEOUT =", ()), ("PORT =", ()), ('COLOUR = "', COLOURS), ('CITY = "', CITIES),
                ('ANIMAL = "', ANIMALS), ('PASSWORD = "', WORDS), ('DISH = "', DISHES))  # fmt: skip
    lines, asked = [], []
    for cue, pool in settings:
        answer = rng.choice(pool) if pool else f" {rng.randrange(10, 1000)}"
        lines.append(f'{cue}{answer}"' if pool else f"{cue}{answer}")
        asked.append(Question("", cue, answer))
    blocks = program()
    at = rng.randrange(len(blocks))
    filler = fill(iter([*blocks[at:], *blocks[:at]]), "\n\n".join(lines), fits)
    for line in lines:
        filler.insert(rng.randrange(len(filler) + 1), line)
    return Passage("\n\n".join(filler) + "\n", tuple(asked))


def program() -> list[str]:
    """Return the blocks of some modules of Python's library."""
    import fractions
    import heapq
    import shlex
    import statistics
    import textwrap

    sources = (inspect.getsource(module) for module in (fractions, heapq, shlex, statistics, textwrap))
    return [block for text in sources for block in text.split("\n\n") if 40 < len(block) < 700]


LABELS = ("north", "south", "east")


def examples(prose: Iterator[str], rng: random.Random, fits: Fits) -> Passage:
    """Return examples of words with a label each; which label means which kind of word only the examples say."""
    kinds = rng.sample((ANIMALS, CITIES, COLOURS, TRADES), 3)
    labels = rng.sample(LABELS, 3)
    pool = [(word, label) for kind, label in zip(kinds, labels, strict=True) for word in kind]
    rng.shuffle(pool)
    held, shown = pool[:9], pool[9:]
    lines: list[str] = []
    while fits("\n".join([*lines, "Input: parrot\nLabel: north"])):
        word, label = shown[len(lines) % len(shown)]
        lines.append(f"Input: {word}\nLabel: {label}")
        if len(lines) >= len(shown):
            break
    asked = [
        Question("", f"Input: {word}\nLabel:", f" {label}", tuple(f" {x}" for x in LABELS)) for word, label in held
    ]
    return Passage("\n".join(lines), tuple(asked))


def scattered(prose: Iterator[str], rng: random.Random, fits: Fits, stated: Sequence[str]) -> str:
    """Return statements at random places between the sentences of a book."""
    filler = fill(prose, " ".join(stated), fits)
    if len(filler) <= len(stated):
        raise InvalidInput(
            f"a context has no room for {len(stated)} facts between as many sentences: give a longer one."
        )
    places = sorted(rng.sample(range(1, len(filler)), len(stated)), reverse=True)
    for place, fact in zip(places, stated, strict=True):
        filler.insert(place, fact)
    return " ".join(filler)


def fill(prose: Iterator[str], rest: str, fits: Fits) -> list[str]:
    """Return as many sentences as fit beside a text."""
    found: list[str] = []
    for sentence in prose:
        if not fits(" ".join([*found, sentence, rest])):
            return found
        found.append(sentence)
    return found


MAKERS: dict[str, Maker] = {"facts": facts, "keys": keys, "table": table, "code": code, "examples": examples}
