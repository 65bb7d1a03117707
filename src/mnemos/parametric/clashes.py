"""Knowledge clashes: which of two answers a model gives where what it knows by heart meets a text that says otherwise.

The memorisation ratio is f_m / (f_m + f_c): of the clashes decided for one of the two, how many the answer known by heart
won ("Adaptive Chameleon or Stubborn Sloth: Revealing the Behavior of Large Language Models in Knowledge Conflicts",
arXiv 2305.13300). It depends on what is shown: the contradiction alone, or with a text for the other side, and in which order.
`arbitrate` decides instead by source and time, and shows one side only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mnemos.errors import InvalidInput
from mnemos.parametric.measure import said
from mnemos.parametric.tokens import row_of

Shown = Literal["nothing", "contradiction", "support", "support first", "support last"]


@dataclass(frozen=True, slots=True)
class Clash:
    """A question with two answers, and a text for either."""

    prompt: str  # ends before the answer
    known: str  # the answer that the model knows by heart
    other: str  # the answer that contradicts it
    support: str  # a text that says what is known
    contradiction: str  # a text that says the other

    def context(self, shown: Shown) -> str:
        """Return what is shown before the prompt."""
        return {
            "nothing": "", "contradiction": self.contradiction, "support": self.support,
            "support first": self.support + self.contradiction, "support last": self.contradiction + self.support,
        }[shown]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decided:
    """How clashes were decided."""

    known: int  # for the answer that is known by heart
    other: int  # for the contradiction
    neither: int

    @property
    def ratio(self) -> float:
        """The memorisation ratio. Raises InvalidInput where no clash was decided for one of the two."""
        if not self.known + self.other:
            raise InvalidInput(f"none of {self.neither} clashes was decided for one of its answers: there is no ratio.")
        return self.known / (self.known + self.other)


def decide(model: Any, tokenizer: Any, clashes: Sequence[Clash], shown: Shown = "contradiction") -> Decided:
    """Return how a greedy model decides clashes where it is shown this; carriers that are attached count."""
    asked = [clash.context(shown) + clash.prompt for clash in clashes]
    known, other = (
        sum(said(model, tokenizer, [row_of(tokenizer, *of) for of in zip(asked, answers, strict=True)]))
        for answers in ([clash.known for clash in clashes], [clash.other for clash in clashes])
    )
    return Decided(known, other, len(clashes) - known - other)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text about a question, with what decides whether it is believed."""

    text: str
    at: float  # when it was said, in any unit that grows
    source: str = ""


def arbitrate(evidence: Sequence[Evidence], trusted: Sequence[str] = ()) -> Evidence:
    """Return the evidence to show, alone: of the first source in `trusted` that has any, else of all, the newest.

    Of equally new ones it is the last. Raises InvalidInput without evidence.
    """
    if not evidence:
        raise InvalidInput("there is no evidence to choose from.")
    for source in trusted:
        if of := [each for each in evidence if each.source == source]:
            return _newest(of)
    return _newest(evidence)


def _newest(evidence: Sequence[Evidence]) -> Evidence:
    return max(reversed(evidence), key=lambda each: each.at)
