"""Yardsticks: what is asked of a model besides what it learns, to see what learning broke."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.migrate.gate import Measures
from mnemos.parametric import measure
from mnemos.parametric.base import Example
from mnemos.parametric.encode.examples import as_chat

FACTS = """\
capital of France=Paris; capital of Japan=Tokyo; capital of Italy=Rome; capital of Egypt=Cairo; capital of Spain=Madrid;
capital of Germany=Berlin; capital of Russia=Moscow; capital of China=Beijing; capital of Greece=Athens;
capital of Cuba=Havana; capital of Norway=Oslo; capital of Austria=Vienna; capital of Peru=Lima; capital of Kenya=Nairobi;
capital of Portugal=Lisbon; capital of Sweden=Stockholm; capital of Ireland=Dublin; capital of Poland=Warsaw;
opposite of hot=cold; opposite of big=small; opposite of up=down; opposite of day=night; opposite of left=right;
opposite of early=late; opposite of rich=poor; opposite of fast=slow; color of the sky=blue; color of grass=green;
color of snow=white; color of coal=black"""
NAMES = "Nora Ivan Mei Omar Lena Tomas Aisha Bruno Clara Dmitri Elif Farid Greta Hugo Ines Jonas"
THINGS = "locker desk garden boat suitcase piano bicycle tent"
PLACES = "attic cellar garage kitchen library museum harbour market station theatre"
TEXTS = (
    "The river rises in the hills north of the town and runs for some forty kilometres before it reaches the sea. In spring "
    "the snow melts and the lower fields are often under water for a week or two. Farmers used to wait for this, because the "
    "mud that the flood leaves behind makes the soil rich; today most of the fields are meadows, and cows graze there.",
    "To bake a simple bread, mix flour, water, salt and a little yeast, and let the dough rest until it has doubled in size. "
    "Fold it a few times, shape it, and let it rise again while the oven becomes hot. Bake it until the crust is brown and "
    "the bread sounds hollow when you knock on its bottom. Let it cool before you cut it.",
    "A library is more than a building full of books. People come to read the newspaper, to study in silence, to ask "
    "questions, or to be warm in winter. Children learn there that stories belong to everybody. The first public libraries "
    "were founded by people who believed that knowledge should not depend on money.",
    "When light passes from air into water it changes its direction, because it travels more slowly in water. This is why a "
    "straight stick looks bent where it enters a pond. The same effect is used in lenses, which bring the light of a distant "
    "object together in one point, so that we can see it larger or sharper than with the naked eye.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Examples and texts that have nothing to do with what is learned. What is empty is not measured."""

    old: Sequence[Example] = ()  # facts that the model may know; those that it does not are left out
    episodes: Sequence[Example] = ()  # with a context in which the answer is read
    texts: Sequence[str] = ()  # general text

    @staticmethod
    def usual() -> Yardstick:
        """Return thirty common facts, forty answers to be read in a context, and four paragraphs of plain prose."""
        pairs = (part.strip().split("=") for part in FACTS.split(";"))
        old = [
            Example(f"Question: What is the {what}?\nAnswer:", f" {answer}", family="common") for what, answer in pairs
        ]
        rng, episodes = random.Random(0), []
        for _ in range(40):
            name, thing, place = (rng.choice(words.split()) for words in (NAMES, THINGS, PLACES))
            context = f"{name}'s {thing} is in the {place}.\n"
            asked = f"Question: Where is {name}'s {thing}?\nAnswer: It is in the"
            episodes.append(Example(asked, f" {place}", family="episode", context=context))
        return Yardstick(old, episodes, TEXTS)

    def known(self, model: Any, tokenizer: Any) -> Yardstick:
        """Return the yardstick without the facts that the model does not know."""
        old = [e for e in self.old if measure.recall(model, tokenizer, [e]).value]
        return Yardstick(old, self.episodes, self.texts)

    def measure(
        self, model: Any, tokenizer: Any, learned: Sequence[Example], paraphrases: Sequence[Example], chat: bool = False
    ) -> Measures:
        """Return what a model knows and can, as it is now. Costs a call for every 32 examples and every text.

        With `chat` what was learned is asked by the tokenizer's template.
        """
        found = {}
        if learned:
            found["recall"] = measure.recall(model, tokenizer, asked_as(learned, tokenizer, chat))
        if paraphrases:
            found["paraphrase"] = measure.recall(model, tokenizer, asked_as(paraphrases, tokenizer, chat))
        if self.old:
            found["old_facts"] = measure.recall(model, tokenizer, self.old)
        if self.episodes:
            found["in_context"] = measure.in_context(model, tokenizer, self.episodes)
        if newer := measure.conflicting(learned):
            found["newer_wins"] = measure.in_context(model, tokenizer, asked_as(newer, tokenizer, chat))
        if self.texts:
            found["general_loss"] = measure.general_loss(model, tokenizer, self.texts)
        return {name: (each.value, each.n) for name, each in found.items()}


def asked_as(examples: Sequence[Example], tokenizer: Any, chat: bool) -> list[Example]:
    """Return examples as a model is asked: by its template for chats, or as they are."""
    return as_chat(examples, tokenizer) if chat else list(examples)
