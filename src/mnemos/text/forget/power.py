"""The power law of forgetting: fast at first, then ever slower, and slower still after each recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register(
    "power",
    papers=(
        Paper("Catastrophic Interference is Mitigated in Naturalistic Power-Law Learning Environments", "2401.10393"),
    ),
)
@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Retention falls as a power of time, R = (1 + b t)^(-d / S), and each recall flattens the curve.

    t is the days since the last recall and S the strength, 1 when a memory is created.

    Deviations: the paper shows that the need for a task falls as a power of the time since it last occurred, and
    rehearses tasks accordingly; it gives no constants for a store. Here that need is the retention. `d` = 0.5 is the
    decay of ACT-R. That strength divides the exponent is ours: if it stretched the time instead, memories would be
    ranked by t / S, as by the law of Ebbinghaus.
    """

    b: float = 1.0  # rate per day
    d: float = 0.5  # exponent when a memory is created
    gain: float = 1.0  # what a recall adds to the strength, at most
    spaced: bool = True  # whether a recall adds gain * (1 - R) rather than `gain`

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the retention R of each memory at `now`, (N,), between 0 and 1."""
        since = np.maximum(now - histories.recalled, 0.0)
        retention: Floats = (1.0 + self.b * since) ** (-self.d / histories.strength)
        return retention

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier), both (N,): the strength grown by the recall, the tier unchanged."""
        grown = self.gain * (1.0 - self.retention(histories, now)) if self.spaced else self.gain
        return histories.strength + grown, histories.tier
