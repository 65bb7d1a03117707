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

    t is the days since the last recall and S = `days` * strength, in days: `days` at birth. A recall sets t to 0, as
    the caller writes it down, and adds `gain` to the strength. With `spaced`, which is not the paper's, it adds
    gain * (1 - R): what had been forgotten is what is won, so that ten recalls in a minute are not ten recalls in ten
    weeks. `spaced=False` is the paper's law, S + 1.
    """

    days: float = 1.0  # time constant of a new memory
    gain: float = 1.0  # what a recall adds to the strength
    spaced: bool = True  # a recall adds only as much as was forgotten; ours

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the retention R of each memory at `now`, (N,), between 0 and 1."""
        since = np.maximum(now - histories.recalled, 0.0)
        retention: Floats = np.exp(-since / (self.days * histories.strength))
        return retention

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer), both (N,): the strength grown by the recall, the layer as it was."""
        won = self.gain * (1.0 - self.retention(histories, now)) if self.spaced else self.gain
        return histories.strength + won, histories.tier
