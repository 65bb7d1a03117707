"""Specialisation against generality: what a write into weights gained in one domain, and what it cost in the others.

Tuning for a domain buys its loss at the price of others ("Fragile Mastery", arXiv 2503.22698). From the losses of each domain
before and after a write, in nats a token, `specialisation` gives three figures to watch: what the target gained over what the
others did, how much better the target is said than the others, and which share of the gain was carried over to them (below 0:
they paid for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Specialisation:
    """What a write did to each domain, in nats a token: above 0 is better than before."""

    target: str
    gains: Mapping[str, float]  # by domain
    after: Mapping[str, float]  # loss by domain

    @property
    def elsewhere(self) -> float:
        """The mean gain of the other domains."""
        return fmean(gain for domain, gain in self.gains.items() if domain != self.target)

    @property
    def index(self) -> float:
        """The specialisation index: the gain of the target less the mean gain of the others."""
        return self.gains[self.target] - self.elsewhere

    @property
    def gap(self) -> float:
        """The generalisation gap: the mean loss of the others less that of the target."""
        return fmean(loss for domain, loss in self.after.items() if domain != self.target) - self.after[self.target]

    @property
    def transfer(self) -> float:
        """The cross-domain transfer: the mean gain of the others as a share of the target's.

        Raises InvalidInput where the target gained nothing: there is nothing to carry over.
        """
        gained = self.gains[self.target]
        if gained <= 0:
            raise InvalidInput(f"{self.target} gained {gained:g} nats: there is a transfer only where it got better.")
        return self.elsewhere / gained


def specialisation(before: Mapping[str, float], after: Mapping[str, float], target: str) -> Specialisation:
    """Return what a write did to domains, from their losses before and after (`measure.general_loss`).

    Raises InvalidInput where domains differ, and where there is no other domain than the target.
    """
    if before.keys() != after.keys() or target not in before or len(before) < 2:
        raise InvalidInput(
            f"the domains are {', '.join(before)} before and {', '.join(after)} after, and the target is {target}: measure the "
            "target and at least one other, both times."
        )
    return Specialisation(target, {domain: before[domain] - after[domain] for domain in before}, dict(after))
