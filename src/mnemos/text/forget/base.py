"""The contract of a law of forgetting: how much each memory deserves to stay, and what being recalled does to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Histories:
    """The histories of N memories: arrays (N,). Times are days since 1970.

    `created` is when each was learned, `recalled` when it was last recalled (`created` if never), `recalls` how often,
    `strength` what the law made of that so far (1 at birth), `size` its bytes, and `tier` its layer: 0 short term,
    1 middle, 2 long term.
    """

    created: Floats
    recalled: Floats
    recalls: Ints
    strength: Floats
    size: Ints
    tier: Ints

    def __len__(self) -> int:
        return len(self.created)


class Law(Protocol):
    """A law of forgetting. A frozen dataclass whose fields are its constants, with the paper's values as defaults."""

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return how much each memory deserves to stay at `now`, (N,): the smallest are forgotten first.

        A law that speaks of retention returns it as a share between 0 and 1.
        """

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer), both (N,), of memories that are recalled at `now`; their other fields are
        brought up to date by the caller, afterwards.
        """
