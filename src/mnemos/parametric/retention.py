"""Retention of batches that were learned one after another: a matrix, and how long a batch lasts.

After each batch it is asked what is known of every earlier one ("Retentive or Forgetful? Diving into the Knowledge Memorizing
Mechanism of Language Models", arXiv 2305.09144). What is known of a batch by the number of batches since is its retention; where
that falls by the same share each time, half of it is left after the half-life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log
from statistics import fmean

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Retention:
    """What was known of each batch after each batch: row i has i + 1 shares, of batches 0 to i."""

    known: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.known or any(len(row) != i + 1 for i, row in enumerate(self.known)):
            raise InvalidInput(
                f"rows have {', '.join(str(len(row)) for row in self.known) or 'no'} shares: give 1 after the first batch, 2 "
                "after the second, and so on."
            )

    def after(self, later: int) -> float:
        """Return the mean share known of a batch `later` batches after it was learned; 0: at once."""
        if not 0 <= later < len(self.known):
            raise InvalidInput(f"later is {later}: {len(self.known)} batches were learned.")
        return fmean(row[i - later] for i, row in enumerate(self.known) if i >= later)

    @property
    def curve(self) -> list[float]:
        """The mean share known by the number of batches since."""
        return [self.after(later) for later in range(len(self.known))]

    def half_life(self, chance: float = 0.0) -> float:
        """Return after how many further batches half of what was known above `chance` is left.

        It is read off the line of least squares through 0 of the logarithm of what is left; inf where nothing is lost.
        """
        return half_life([share - chance for share in self.curve])


def half_life(curve: Sequence[float]) -> float:
    """Return in how many steps a curve halves that falls from its first value by a constant share a step.

    Values of 0 or less count as a hundredth of the first. Raises InvalidInput for one value, and where the first is not positive.
    """
    if len(curve) < 2 or curve[0] <= 0:
        raise InvalidInput(
            f"a half-life needs two values, the first above 0: there are {len(curve)}, {list(curve[:1])} first."
        )
    left = [log(max(value, curve[0] / 100) / curve[0]) for value in curve]
    rate = -sum(step * value for step, value in enumerate(left)) / sum(step * step for step in range(len(left)))
    return log(2) / rate if rate > 0 else inf
