"""Tasks for real models: contexts in words, with questions that only the context answers.

Each maker takes the prose, a generator of random numbers, and a function that says whether a context still fits; it
returns a context and the questions about it. Facts in prose are RULER's needles with several keys (arXiv 2404.06654);
several questions over one context follow SCBench (arXiv 2412.10319).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
    filler = fill(prose, " ".join(stated), fits)
    places = sorted(rng.sample(range(1, len(filler)), count), reverse=True)
    for place, fact in zip(places, stated, strict=True):
        filler.insert(place, fact)
    rng.shuffle(asked)
    return Passage(" ".join(filler), tuple(asked))


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


def fill(prose: Iterator[str], rest: str, fits: Fits) -> list[str]:
    """Return as many sentences as fit beside a text."""
    found: list[str] = []
    for sentence in prose:
        if not fits(" ".join([*found, sentence, rest])):
            return found
        found.append(sentence)
    return found


MAKERS: dict[str, Maker] = {"facts": facts, "examples": examples}
