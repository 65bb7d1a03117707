"""Forgetting as a part of consolidation: the space's policy is applied."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import register
from mnemos.text.base import Memory
from mnemos.text.consolidate.report import Budget


@register("apply-policy", unmeasured="it applies the space's law, which `mnemos bench retention` measures")
@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """Archive and erase what the space's policy forgets (ours). At most one scan of numbers, O(N)."""

    def run(self, memory: Memory, budget: Budget) -> None:
        """Apply the policy; the default policy forgets nothing."""
        budget.done.forgotten += memory.apply_policy()
