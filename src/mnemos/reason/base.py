"""The contract of a reasoner: the judgements that memory needs, by rules or by a model.

A judgement never writes: callers store what it says. A reasoner that depends on something that can fail raises
`ReasonerError` and nothing else; its callers then take the rules' judgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from mnemos.facts import Fact

Verdict = Literal["same", "refines", "contradicts", "compatible"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a new fact stands to an old one of the same subject and attribute, and why in a few words.

    The reason names no content: it outlives the cubes in logs.
    """

    verdict: Verdict
    reason: str


@runtime_checkable
class Metered(Protocol):
    """A reasoner that counts what it uses."""

    def stats(self) -> dict[str, Any]:
        """Return calls and tokens by task, today's use and the budget."""


class Reasoner(Protocol):
    """Extracts, compares and condenses. Implementations: `RuleReasoner` (the default) and `LlmReasoner`."""

    @property
    def name(self) -> str:
        """What decisions are recorded as made by: "rules", or the model's name."""

    def facts(self, text: str, speaker: str | None, at: datetime) -> list[Fact]:
        """Return what a text states, in its order. First person means `speaker` ("user" when it is None)."""

    def compare(self, new: Fact, old: Fact) -> Judgement:
        """Judge a new fact against an old one of the same subject and attribute."""

    def summarise(self, texts: Sequence[str], sentences: int) -> str:
        """Return the gist of texts, given in the order of time, in at most so many sentences."""

    def title(self, texts: Sequence[str]) -> str:
        """Return what texts are about, in a few words."""

    def reflect(self, texts: Sequence[str]) -> list[str]:
        """Return what follows from several texts taken together; empty when nothing does."""
