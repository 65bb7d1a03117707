"""The salience of HEMA: it decays with age and is raised for a while by a retrieval."""

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
class Hema:
    """Salience decays with age and rises on retrieval: w = freshness exp(-decay age) + bonus [retrieved recently].

    age is the number of turns since the memory was created. The salience lies between 0 and freshness + bonus.

    Deviations: the paper counts in turns; that 16 of them make a day, a session of the LoCoMo dialogues, is ours. The
    paper prints the second term as beta (1 - delta) with delta = 1 for retrieved memories, which would favour the
    others; its text calls beta a bonus for recent retrievals, and the text is followed.
    """

    freshness: float = 1.0  # salience when a memory is created
    decay: float = 0.002  # rate per turn, gamma of the paper
    bonus: float = 0.5  # for a recent retrieval, beta of the paper
    window: float = 100.0  # turns in which a retrieval is recent
    turns: float = 16.0  # of a day

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the salience w of each memory at `now`, (N,)."""
        age = np.maximum(now - histories.created, 0.0) * self.turns
        recent = (histories.recalls > 0) & ((now - histories.recalled) * self.turns <= self.window)
        salience: Floats = self.freshness * np.exp(-self.decay * age) + self.bonus * recent
        return salience

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,): the caller stores the time of the retrieval."""
        return histories.strength, histories.tier
