"""A model's judgements, and the rules' where the model fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mnemos.errors import ReasonerError
from mnemos.reason.base import Reasoner

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FallbackReasoner:
    """Asks one reasoner, and the rules where that raises ReasonerError."""

    first: Reasoner  # a model, or the rules themselves where there is none
    rules: Reasoner  # never fail

    @property
    def has_model(self) -> bool:
        """Whether a model is asked first."""
        return self.first is not self.rules

    def ask(self, question: Callable[[Reasoner], T]) -> tuple[T, bool]:
        """Return the answer to a question such as `lambda r: r.title(texts)`, and whether `first` gave it."""
        try:
            return question(self.first), True
        except ReasonerError:
            return question(self.rules), False
