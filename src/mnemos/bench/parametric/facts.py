"""A made-up world of facts for small language models: people of an open vocabulary, relations, topics, and Zipf.

Names are spelled in syllables, so that a model of a few thousand parameters reads names that it has never seen. A fact
is a person, a relation and a value; each relation has three templates, all of which end with the value, so that any of
them is a statement, a question, or a paraphrase of the other two. People belong to topics, which open their documents; how
often a person is written about follows Zipf's law. The same seed makes the same world.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Edit, Example

SYLLABLES = tuple(c + v for c, v in product("bdfgklmnprstvz", "aeiou"))
END = " ."
OPENING = "chronicle of the valley of"  # a topic's name follows
RELATIONS: dict[str, tuple[str, str, str]] = {
    "home": ("{} lives in", "the home of {} is", "{} has a house in"),
    "work": ("{} works as", "the job of {} is", "{} earns money as"),
    "birth": ("{} was born in", "the birthplace of {} is", "{} came to the world in"),
    "dish": ("{} likes to eat", "the favourite dish of {} is", "{} always orders"),
    "tongue": ("{} speaks", "the language of {} is", "{} grew up with"),
    "music": ("{} plays", "the instrument of {} is", "{} makes music on"),
    "pet": ("{} keeps a pet called", "the pet of {} is", "{} feeds"),
    "friend": ("{} is a friend of", "the best friend of {} is", "{} often visits"),
}
PAD, BOS, UNKNOWN = "<pad>", "<s>", "<unk>"


@dataclass(frozen=True, slots=True)
class Fact:
    """What is so of a person."""

    subject: str
    relation: str  # a key of RELATIONS
    value: str
    topic: int  # of the person
    rank: int  # of the person, 0 for the one who is written about most

    def prompt(self, template: int = 0) -> str:
        """Return a template of the relation up to the value."""
        return RELATIONS[self.relation][template].format(self.subject)

    @property
    def answer(self) -> str:
        """The value as it follows a prompt."""
        return f" {self.value}"

    def statement(self, template: int = 0) -> str:
        """Return the fact as a sentence."""
        return f"{self.prompt(template)}{self.answer}{END}"

    def example(self, template: int = 0, source: str = "") -> Example:
        """Return the fact as something to be known by heart."""
        return Example(self.prompt(template), self.answer, source, f"template {template}", self.statement())

    def edit(self, value: str, template: int = 0) -> Edit:
        """Return the change of this fact to another value."""
        return Edit(self.prompt(template), self.subject, f" {value}")


@dataclass(frozen=True)
class World:
    """People, their facts, and the topics they belong to."""

    facts: tuple[Fact, ...]  # a person's facts follow each other
    values: dict[str, tuple[str, ...]]  # what a relation's values are drawn from
    topics: tuple[str, ...]  # names
    zipf: float  # a person of rank r is written about in proportion to 1 / (r + 1) ** zipf
    seed: int

    def sample(self, count: int, seed: int) -> list[Fact]:
        """Draw facts as they are written about."""
        weights = [1 / (fact.rank + 1) ** self.zipf for fact in self.facts]
        return random.Random(f"sample {self.seed} {seed}").choices(self.facts, weights, k=count)

    def sentences(self, count: int, seed: int) -> list[str]:
        """Draw statements, each by any of its templates."""
        rng = random.Random(f"templates {self.seed} {seed}")
        return [fact.statement(rng.randrange(3)) for fact in self.sample(count, seed)]

    def documents(self, count: int, facts: int, seed: int) -> Iterator[tuple[int, str]]:
        """Yield topics with texts that open with the topic's name and state some of its facts, drawn as they are written."""
        rng = random.Random(f"documents {self.seed} {seed}")
        by_topic = [[f for f in self.facts if f.topic == topic] for topic in range(len(self.topics))]
        weights = [[1 / (f.rank + 1) ** self.zipf for f in of] for of in by_topic]
        for _ in range(count):
            topic = rng.randrange(len(self.topics))
            drawn = rng.choices(by_topic[topic], weights[topic], k=facts)
            yield topic, " ".join([self.opening(topic), *(fact.statement(rng.randrange(3)) for fact in drawn)])

    def opening(self, topic: int) -> str:
        """Return the sentence that opens a topic's documents."""
        return f"{OPENING} {self.topics[topic]}{END}"

    def other_value(self, fact: Fact, seed: int = 0) -> str:
        """Return a value that the fact does not have."""
        others = [value for value in self.values[fact.relation] if value != fact.value]
        return random.Random(f"{self.seed} {seed} {fact.subject} {fact.relation}").choice(others)


def make_world(
    people: int,
    relations: Sequence[str] = ("home", "work", "dish", "pet"),
    *,
    values: int = 64,
    topics: int = 1,
    zipf: float = 0.0,
    seed: int = 0,
) -> World:
    """Return a world of `people`, each with a fact of every relation, dealt to topics by their ranks.

    Worlds of different seeds share hardly a name. Raises InvalidInput for an unknown relation, and for more people or
    values than there are names.
    """
    for relation in relations:
        if relation not in RELATIONS:
            raise InvalidInput(f"there is no relation {relation!r}: choose from {', '.join(RELATIONS)}.")
    rng = random.Random(f"world {seed}")
    pools = {relation: tuple(_names(rng, values, 2)) for relation in relations}
    named = _names(rng, people, 3)
    facts = tuple(
        Fact(name, relation, rng.choice(pools[relation]), rank % topics, rank)
        for rank, name in enumerate(named)
        for relation in relations
    )
    return World(facts, pools, tuple(_names(rng, topics, 2)), zipf, seed)


def _names(rng: random.Random, count: int, syllables: int) -> list[str]:
    room = len(SYLLABLES) ** syllables
    if count > room:
        raise InvalidInput(f"{count} names of {syllables} syllables: there are {room}.")
    return [_spell(number, syllables) for number in rng.sample(range(room), count)]


def _spell(number: int, syllables: int) -> str:
    parts = []
    for _ in range(syllables):
        number, at = divmod(number, len(SYLLABLES))
        parts.append(SYLLABLES[at])
    return "".join(parts).capitalize()


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the tokens of the language: marks, words of the templates, first and further syllables of names."""
    texts = [OPENING, *(template.format("") for of in RELATIONS.values() for template in of)]
    words = dict.fromkeys(" ".join(texts).split())
    return (
        PAD,
        BOS,
        UNKNOWN,
        END.strip(),
        *words,
        *(s.capitalize() for s in SYLLABLES),
        *(f"##{s}" for s in SYLLABLES),
    )


def make_tokenizer() -> Any:
    """Return the language's tokenizer, as transformers has them; it puts a mark at the beginning of a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordPiece({token: i for i, token in enumerate(vocabulary())}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.WordPiece(cleanup=False)
    made.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, bos_token=BOS, unk_token=UNKNOWN)
