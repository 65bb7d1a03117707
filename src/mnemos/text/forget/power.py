"""The power law of forgetting: fast at first, then ever slower, and slower again after every recall."""

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
    """Retention falls as a power of time, R = (1 + b t)^(-d / S), and every recall flattens the curve.

    t is the days since the last recall, `b` a rate per day, `d` the exponent at birth and S the strength (1 at birth).
    A recall adds gain * (1 - R) to S, or `gain` with `spaced=False`.

    Deviations: the paper shows that the need of a task falls as a power of the time since it was last met, and
    rehearses tasks that often; it gives no constants for a store. Here that need is the retention. `d` = 0.5 is the
    decay of ACT-R, `b` = 1 a day, and that strength divides the exponent is ours: if it stretched the time instead,
    memories would be ranked by t / S, as by the law of Ebbinghaus.
    """

    b: float = 1.0  # rate per day
    d: float = 0.5  # exponent of a new memory
    gain: float = 1.0  # what a recall adds to the strength
    spaced: bool = True  # a recall adds only as much as was forgotten

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the retention R of each memory at `now`, (N,), between 0 and 1."""
        since = np.maximum(now - histories.recalled, 0.0)
        retention: Floats = (1.0 + self.b * since) ** (-self.d / histories.strength)
        return retention

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer), both (N,): the strength grown by the recall, the layer as it was."""
        won = self.gain * (1.0 - self.retention(histories, now)) if self.spaced else self.gain
        return histories.strength + won, histories.tier
