"""The forgetting curve of Ebbinghaus, as MemoryBank uses it: exponential decay that every recall slows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register(
    "ebbinghaus",
    papers=(
        Paper(
            "MemoryBank: Enhancing Large Language Models with Long-Term Memory",
            "2305.10250",
            code="zhongwanjun/MemoryBank-SiliconFriend",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Ebbinghaus:
    """Retention falls exponentially, R = exp(-t / S), and every recall makes the memory stronger.

    t is the days since the last recall and S = `days` * strength, in days. A recall resets t to 0 (the caller stores
    its time) and adds to the strength.

    Deviation: by default the gain equals what had been forgotten, so ten recalls within a minute count for less than
    ten over ten weeks. `spaced=False` is the law of the paper, S + 1.
    """

    days: float = 1.0  # S when a memory is created
    gain: float = 1.0  # what a recall adds to the strength, at most
    spaced: bool = True  # whether a recall adds gain * (1 - R) rather than `gain`

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the retention R of each memory at `now`, (N,), between 0 and 1."""
        since = np.maximum(now - histories.recalled, 0.0)
        retention: Floats = np.exp(-since / (self.days * histories.strength))
        return retention

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier), both (N,): the strength grown by the recall, the tier unchanged."""
        grown = self.gain * (1.0 - self.retention(histories, now)) if self.spaced else self.gain
        return histories.strength + grown, histories.tier
