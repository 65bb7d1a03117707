"""LiMem: whether items are answered because they were learned by heart, or because they are understood.

Of the items that are answered right, a share is no longer when they are changed a little, in a way that changes the answer: with
the accuracy it gives LiMem = accuracy x (1 - share still right) ("On Memorization of Large Language Models in Logical
Reasoning", arXiv 2410.23123): 1 where all was learned by heart, 0 where what was learned holds for the changed ones, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.measure import said
from mnemos.parametric.tokens import row_of


@dataclass(frozen=True, slots=True)
class LiMem:
    """What is answered, and what of it is left when items are changed."""

    accuracy: float
    kept: float  # share of the items answered right whose change is answered right; 0 where none is

    @property
    def score(self) -> float:
        """LiMem."""
        return self.accuracy * (1 - self.kept)


def limem(right: Sequence[bool], changed: Sequence[bool]) -> LiMem:
    """Return LiMem from which items were answered right, and which of their changes. Raises InvalidInput for other numbers."""
    if len(right) != len(changed) or not right:
        raise InvalidInput(
            f"there are {len(right)} items and {len(changed)} changes: give one for each, and at least one."
        )
    both = [after for before, after in zip(right, changed, strict=True) if before]
    return LiMem(sum(right) / len(right), sum(both) / len(both) if both else 0.0)


def gauge(model: Any, tokenizer: Any, examples: Sequence[Example], changed: Sequence[Example]) -> LiMem:
    """Return LiMem of a greedy model on examples, each with a changed one; carriers that are attached count."""
    asked = ([row_of(tokenizer, e.context + e.prompt, e.answer) for e in of] for of in (examples, changed))
    right, after = (said(model, tokenizer, rows) for rows in asked)
    return limem(right, after)
