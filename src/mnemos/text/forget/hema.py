"""The salience of HEMA: it fades with age and is raised by a retrieval, for a while."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register(
    "hema",
    papers=(
        Paper(
            "HEMA: A Hippocampus-Inspired Extended Memory Architecture for Long-Context AI Conversations", "2504.16754"
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Use:
    """Salience fades with age and rises on retrieval: w = freshness exp(-decay age) + bonus [retrieved lately].

    age is the turns since birth, `decay` the rate per turn (gamma of the paper), and lately is within the last
    `window` turns. The salience is no share: it lies between 0 and freshness + bonus.

    Deviations: the paper counts in turns; here `turns` of them make a day: 16, a session of the LoCoMo dialogues, is
    ours. The paper prints the second term as beta (1 - delta) with delta = 1 for what was retrieved, which would
    favour what was not; its text calls beta a bonus for recent retrievals, and the text is followed.
    """

    freshness: float = 1.0  # salience of a new memory
    decay: float = 0.002  # rate per turn (gamma of the paper)
    bonus: float = 0.5  # salience that a recent retrieval adds (beta of the paper)
    window: float = 100.0  # turns within which a retrieval is recent
    turns: float = 16.0  # turns of a day; ours

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the salience w of each memory at `now`, (N,), without unit."""
        age = np.maximum(now - histories.created, 0.0) * self.turns
        lately = (histories.recalls > 0) & ((now - histories.recalled) * self.turns <= self.window)
        salience: Floats = self.freshness * np.exp(-self.decay * age) + self.bonus * lately
        return salience

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer) unchanged, both (N,): the caller sets the time of the retrieval."""
        return histories.strength, histories.tier
