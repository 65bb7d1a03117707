"""The contract of a reasoner: the judgements that memory needs, by rules or by a model.

A reasoner never writes: callers store its judgements. One that can fail raises `ReasonerError` and nothing else;
callers then take the judgement of the rules.
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
    """The relation of a new fact to an old one of the same subject and attribute, with a short reason.

    The reason quotes no content: it outlives the cubes in logs.
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
        """The name under which decisions are recorded: "rules", or that of the model."""

    def facts(self, text: str, speaker: str | None, at: datetime) -> list[Fact]:
        """Return the facts that a text states, in its order. First person means `speaker` ("user" when it is None)."""

    def compare(self, new: Fact, old: Fact) -> Judgement:
        """Judge a new fact against an old one of the same subject and attribute."""

    def summarise(self, texts: Sequence[str], sentences: int) -> str:
        """Return the gist of texts, given in the order of time, in at most `sentences` sentences."""

    def title(self, texts: Sequence[str]) -> str:
        """Return the topic of texts in a few words."""

    def reflect(self, texts: Sequence[str]) -> list[str]:
        """Return conclusions from several texts taken together; empty when there are none."""
