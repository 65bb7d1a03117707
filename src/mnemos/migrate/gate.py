"""The gate between text and weights: what a memory in weights has to know, and what it may not break. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mnemos.errors import InvalidInput

# Measures by name, each (mean, how many it is of): recall, paraphrase, old_facts, in_context, newer_wins, general_loss.
Measures = Mapping[str, tuple[float, int]]
NAMES = {
    "recall": "answers of what was learned", "paraphrase": "answers to the same asked in other words",
    "old_facts": "answers of what the model knew before", "in_context": "answers read in a context",
    "newer_wins": "answers of a newer context over what is known", "general_loss": "loss on general text, nats a token",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether weights are used, and why not."""

    promoted: bool
    reasons: tuple[str, ...]  # what failed; none where nothing did
    unmeasured: tuple[str, ...]  # what was not asked, as there was nothing to ask


@dataclass(frozen=True, slots=True)
class Gate:
    """What weights are asked before they are used. None: it is not asked.

    A fall is compared with the model without the weights. One answer of a small set may change: a fall of 1 / n is allowed.
    """

    recall: float | None = 0.9  # share of what was learned that is answered, at least
    paraphrase: float | None = 0.75  # of the same asked in words that were not learned, at least
    old_facts: float | None = 0.01  # that the share of old facts may fall by
    in_context: float | None = 0.01  # that the share of answers read in a context may fall by
    newer_wins: float | None = 0.05  # that the share of newer contexts that win may fall by
    general_loss: float | None = 0.01  # that the perplexity of general text may rise by, as a share

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and not 0 <= value <= 1:
                raise InvalidInput(f"gate: {f.name} is {value!r}, expected a share between 0 and 1, or None.")

    def decide(self, before: Measures, after: Measures) -> Decision:
        """Return whether weights with the measures `after` may be used in a model that had those `before`."""
        reasons: list[str] = []
        unmeasured: list[str] = []
        for name, limit in asdict(self).items():
            if limit is None:
                continue
            if name not in after or (name not in ("recall", "paraphrase") and name not in before):
                unmeasured.append(name)
                continue
            reason = (
                self._least(name, limit, after)
                if name in ("recall", "paraphrase")
                else _fell(name, limit, before, after)
            )
            reasons += [reason] if reason else []
        if "recall" in unmeasured:
            reasons.append("what was learned could not be measured")
        return Decision(not reasons, tuple(reasons), tuple(unmeasured))

    def _least(self, name: str, limit: float, after: Measures) -> str:
        value, n = after[name]
        return "" if value >= limit else f"{NAMES[name]}: {value:.2f} of {n}, at least {limit:g} is asked"


def _fell(name: str, limit: float, before: Measures, after: Measures) -> str:
    (was, _), (value, n) = before[name], after[name]
    if name == "general_loss":
        rise = math.expm1(value - was)
        return "" if rise <= limit else f"perplexity of general text rose by {rise:.1%}, {limit:.1%} is allowed"
    allowed = max(limit, 1 / n)
    return "" if was - value <= allowed + 1e-9 else f"{NAMES[name]}: fell from {was:.2f} to {value:.2f} of {n}"


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What became of cubes that were to be learned. Where they were not promoted, they stay text, and all is as it was."""

    cube: Any  # the MemCube of the weights; None where they were not promoted
    decision: Decision
    before: Measures
    after: Measures
    left_out: Mapping[str, str]  # id of a cube that was not learned -> why
    learned: tuple[str, ...]  # ids of the cubes that were
    examples: int
    nbytes: int  # of the weights
    seconds: float  # of everything: examples, training, measures
    training: Mapping[str, Any]  # what the training reports
    original_share: float  # of the cubes learned: those that were not derived. Derived texts lose rare facts first

    @property
    def promoted(self) -> bool:
        """Whether the weights are kept, and will be attached."""
        return self.cube is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        found = {f.name: getattr(self, f.name) for f in fields(self)} | {"decision": asdict(self.decision)}
        return found | {"cube": self.cube and self.cube.id, "promoted": self.promoted}
