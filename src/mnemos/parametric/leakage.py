"""Temporal leakage: whether a model's forecast is a memory, as it saw what it is asked to foresee.

A model says dated values from its training by heart, and nothing after its cutoff; being told to pretend that it is an earlier
day, or not being told the name, does not keep it from that ("The Memorization Problem: Can We Trust LLMs' Economic Forecasts?",
arXiv 2504.14765). What was recalled cannot have been foreseen: `leakage` asks for dated values, and names those that no forecast
of this model counts for. A store that is searched with `as_of` does not know what came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.parametric.measure import said
from mnemos.parametric.tokens import row_of


@dataclass(frozen=True, slots=True)
class Dated:
    """A value at a time."""

    prompt: str  # ends before the value
    answer: str
    at: float  # in any unit that grows


@dataclass(frozen=True, slots=True)
class Leakage:
    """Which dated values a model says by heart."""

    asked: tuple[Dated, ...]
    recalled: tuple[bool, ...]  # of each

    def share(self, since: float = float("-inf"), until: float = float("inf")) -> float:
        """Return the share recalled of the values at `since` or later and before `until`. Raises InvalidInput for none."""
        of = [known for dated, known in zip(self.asked, self.recalled, strict=True) if since <= dated.at < until]
        if not of:
            raise InvalidInput(f"no value that was asked for is of the time from {since} to {until}.")
        return sum(of) / len(of)

    def flagged(self, as_of: float) -> tuple[Dated, ...]:
        """Return the values later than `as_of` that the model knows by heart: its forecasts of these are memories."""
        return tuple(
            dated for dated, known in zip(self.asked, self.recalled, strict=True) if known and dated.at > as_of
        )


def leakage(model: Any, tokenizer: Any, asked: Sequence[Dated]) -> Leakage:
    """Return which values a greedy model says after their prompts; carriers that are attached count."""
    if not asked:
        raise InvalidInput("there are no dated values to ask for.")
    rows = [row_of(tokenizer, dated.prompt, dated.answer) for dated in asked]
    return Leakage(tuple(asked), tuple(said(model, tokenizer, rows)))
