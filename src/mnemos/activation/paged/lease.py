"""How long the cache of a program is kept while a tool works: a fixed time, or Continuum's."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Charge = Literal["ttl", "held"]


class Lease(Protocol):
    """Decides how many seconds a cache is pinned after a turn that calls a tool, and learns from what happened.

    After that time the cache may be evicted, and is not: whoever needs the space does it. All times are in seconds.
    """

    def ttl(self, tool: str, reload: float) -> float:
        """Return how long to pin; `reload` is what it would cost to prefill, or to load, the cache again."""

    def returned(self, tool: str, seconds: float) -> None:
        """Hear that a tool took so long."""

    def queued(self, seconds: float) -> None:
        """Hear that a request whose cache was gone waited so long to be admitted."""

    def finished(self, turns: int) -> None:
        """Hear that a program ended after so many turns."""


@dataclass(frozen=True, slots=True)
class FixedTtl:
    """The same time for every tool: 0 frees at the end of every turn, infinity pins until the program ends."""

    seconds: float = 2.0

    def ttl(self, tool: str, reload: float) -> float:
        """Return the fixed time."""
        return self.seconds

    def returned(self, tool: str, seconds: float) -> None:
        """Learn nothing."""

    def queued(self, seconds: float) -> None:
        """Learn nothing."""

    def finished(self, turns: int) -> None:
        """Learn nothing."""


@register(
    "continuum",
    papers=(
        Paper(
            "Continuum: Efficient and Robust Multi-Turn LLM Agent Scheduling with KV Cache Time-to-Live", "2511.02230"
        ),
    ),
)
@dataclass(slots=True)
class Continuum:
    """Pins a cache as long as its expected use is worth the space: tau = argmax P(D <= tau) (eta T + R) - c(tau).

    D is the duration of the tool by its own history, R the seconds that the cache costs to compute again, T the mean
    time that requests without their cache waited for admission (the last `window` of them), and eta = -corr(k, N - k)
    over the turns k of finished programs of N turns: how much less is to come the more has been (1 as long as fewer
    than two lengths were seen, and for programs of one length). A tool with `samples` durations or fewer takes the
    history of all tools, and while that is as short, tau is `default`; 100 is the paper's, 2 s that of its authors'
    first release. Candidates are 0 and the durations seen, of which the last `history` count.

    The price c is `price` a second. The paper charges tau, whether or not the tool returns before (`charge` "ttl").
    With "held" it is E[min(D, tau)], the time that the space is really held: longer leases, right where a return ends
    the holding. `price` other than 1 is ours: for a cache that takes more or less of the memory than others do.
    """

    default: float = 2.0
    samples: int = 100
    window: int = 100
    history: int = 4096
    price: float = 1.0
    charge: Charge = "ttl"
    _all: deque[float] = field(init=False, repr=False)
    _tools: dict[str, deque[float]] = field(init=False, repr=False, default_factory=dict)
    _waits: deque[float] = field(init=False, repr=False)
    _moments: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if min(self.samples, self.window, self.history) < 1 or self.default < 0 or self.price < 0:
            raise InvalidInput(f"{self}: expected counts of 1 or more, and times and prices of 0 or more.")
        if self.charge not in ("ttl", "held"):
            raise InvalidInput(f"charge is {self.charge!r}: choose 'ttl' or 'held'.")
        self._all, self._waits = deque(maxlen=self.history), deque(maxlen=self.window)
        self._moments = np.zeros(4)  # sums over the turns of finished programs: 1, k, k^2, k (N - k)

    def ttl(self, tool: str, reload: float) -> float:
        """Return tau for a cache that costs `reload` seconds to compute again."""
        if len(self._all) <= self.samples:
            return self.default
        own = self._tools.get(tool, self._all)
        durations = np.sort(np.asarray(own if len(own) > self.samples else self._all))
        return best_ttl(durations, self.eta * self.wait + reload, self.price, self.charge)

    @property
    def wait(self) -> float:
        """T: the mean wait of requests whose cache was gone, 0 as long as there was none."""
        return sum(self._waits) / len(self._waits) if self._waits else 0.0

    @property
    def eta(self) -> float:
        """-corr(k, N - k) over the turns k = 1..N-1 of finished programs; k and N - k have the same distribution."""
        n, k, square, product = self._moments
        variance = square - k * k / n if n else 0.0
        return float(-(product - k * k / n) / variance) if variance > 0 else 1.0

    def returned(self, tool: str, seconds: float) -> None:
        """Hear that a tool took so long."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise InvalidInput(f"tool {tool!r} took {seconds} seconds: expected a number of 0 or more.")
        self._tools.setdefault(tool, deque(maxlen=self.history)).append(seconds)
        self._all.append(seconds)

    def queued(self, seconds: float) -> None:
        """Hear that a request whose cache was gone waited so long to be admitted."""
        self._waits.append(seconds)

    def finished(self, turns: int) -> None:
        """Hear that a program ended after so many turns."""
        k = np.arange(1.0, turns)
        self._moments += (k.size, k.sum(), (k * k).sum(), (k * (turns - k)).sum())


def best_ttl(durations: NDArray[np.float64], gain: float, price: float = 1.0, charge: Charge = "ttl") -> float:
    """Return the tau among 0 and `durations` (sorted) that maximises P(D <= tau) gain - price c(tau); of equals the least.

    c(tau) is tau ("ttl") or E[min(D, tau)] ("held").
    """
    n = len(durations)
    tau = np.concatenate([[0.0], durations])
    probability = np.searchsorted(durations, tau, side="right") / n
    if charge == "held":
        below = np.concatenate([[0.0], np.cumsum(durations)])  # of the i smallest, which tau[i] outlasts
        cost = (below + (n - np.arange(n + 1)) * tau) / n
    else:
        cost = tau
    return float(tau[np.argmax(probability * gain - price * cost)])
