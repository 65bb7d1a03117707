"""Which weights a prompt asks for: those that learned a question whose words are in the prompt.

Weights that are attached to everything change everything a little. Attached to the prompts that ask for what they have
learned, they leave all other prompts to the model itself, bit for bit, and other weights to theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from mnemos.index.terms import stop_terms, terms
from mnemos.migrate.gate import Measures
from mnemos.migrate.yardstick import Yardstick
from mnemos.parametric.base import Example, Learned
from mnemos.parametric.encode import templates
from mnemos.reason.condense import sentences

# Of the words of a question, and more; chosen on LoCoMo's conv-26 30 41 42 43 and the first 400 questions of zsRE.
ENOUGH = 2 / 3
LAST = 3  # sentences of a prompt that ask: a question, what leads to the answer, and one before them
FRAME = "Question: Please tell me.\nAnswer:"  # words that say nothing of what is asked, like those of templates


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions that weights have learned to answer, each as its words without those of templates."""

    words: Mapping[str, frozenset[frozenset[str]]]  # by the id of the weights

    @classmethod
    def of(cls, learned: Mapping[str, Iterable[Example]]) -> Questions:
        """Return the questions of examples by the id of the weights that learned them."""
        return cls({name: questions_of(found) for name, found in learned.items()})

    def asked(self, prompt: str) -> tuple[str, ...]:
        """Return the ids of the weights that a prompt asks for, in their order. O(questions).

        A prompt asks for a question if its last sentences have two thirds of its words, in any order and form: what stands
        before them is read, not asked. Where a question is put in other words of content it is not recognised, and the
        text has to answer.
        """
        said = frozenset(terms(" ".join(sentence for _, sentence in sentences(prompt)[-LAST:])))
        return tuple(name for name, found in self.words.items() if any(len(q & said) > ENOUGH * len(q) for q in found))


def questions_of(examples: Iterable[Example]) -> frozenset[frozenset[str]]:
    """Return the words of each question of examples. About 10 us a question."""
    return frozenset({content(example.prompt) for example in examples} - {frozenset()})


def content(prompt: str) -> frozenset[str]:
    """Return the words of a prompt that are neither function words nor words of templates."""
    return frozenset(terms(prompt)) - stop_terms() - _framing()


@cache
def _framing() -> frozenset[str]:
    """Return the words of the templates of the five families."""
    families = (prompt for prompts in templates.LEARNED.values() for prompt in prompts)
    filled = (prompt.format(who="", when="", cue="") for prompt in families)
    return frozenset(term for frame in (FRAME, *filled) for term in terms(frame))


def measured_when_asked(
    yardstick: Yardstick, learned: Learned, model: Any, tokenizer: Any, examples: Sequence[Example],
    paraphrases: Sequence[Example], chat: bool,
) -> Measures:  # fmt: skip
    """Return the measures of a model that has weights attached for the prompts alone that ask for what they learned."""
    questions = Questions.of({"": examples})

    def split(found: Sequence[Example]) -> tuple[list[Example], list[Example]]:
        there = [e for e in found if questions.asked(e.context + e.prompt)]
        return there, [e for e in found if e not in there]

    old, episodes, reworded = split(yardstick.old), split(yardstick.episodes), split(paraphrases)
    texts = [[t for t in yardstick.texts if bool(questions.asked(t)) is on] for on in (True, False)]
    found: list[Measures] = []
    for i, on in enumerate((True, False)):
        part = Yardstick(old[i], episodes[i], texts[i])
        with learned.attach(model) if on else nullcontext():
            found.append(part.measure(model, tokenizer, examples if on else (), reworded[i], chat))
    names = dict.fromkeys(name for each in found for name in each)
    return {name: _mean([each[name] for each in found if name in each]) for name in names}


def _mean(parts: Sequence[tuple[float, int]]) -> tuple[float, int]:
    n = sum(count for _, count in parts)
    return sum(value * count for value, count in parts) / n, n
