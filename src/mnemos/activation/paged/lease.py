"""How long the cache of a program is pinned while a tool works: a fixed time, or Continuum's."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemos.activation.paged.base import Lease, NoLease
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Charge = Literal["ttl", "held"]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class FixedTtl:
    """Pin for the same time after every tool call."""

    seconds: float = 2.0  # 0 never pins; infinity pins until the program ends

    def ttl(self, tool: str, reload: float) -> float:
        """Return the fixed time."""
        return self.seconds

    def record_tool(self, tool: str, seconds: float) -> None:
        """Ignore it."""

    def record_wait(self, seconds: float) -> None:
        """Ignore it."""

    def record_program(self, turns: int) -> None:
        """Ignore it."""


@register(
    "continuum",
    papers=(
        Paper(
            "Continuum: Efficient and Robust Multi-Turn LLM Agent Scheduling with KV Cache Time-to-Live", "2511.02230"
        ),
    ),
    task="kv-schedule",
)
@dataclass(slots=True)
class Continuum:
    """Pin a cache as long as its expected use is worth the space: tau = argmax P(D <= tau) (eta T + R) - c(tau).

    D is the duration of the tool by its own history, R the seconds that computing the cache again takes, T the mean
    time that requests whose cache was evicted waited for admission, and eta = -corr(k, N - k) over the turns k of
    finished programs of N turns: how much fewer turns remain after more (1 while fewer than two lengths were seen,
    and for programs of one length). Candidates for tau are 0 and the durations in the history. A tool with `samples`
    durations or fewer uses the history of all tools; while that is as short, tau is `default`.

    The price c(tau) is `price` times tau, as in the paper, whether or not the tool returns before (`charge` "ttl").
    With "held" it is `price` times E[min(D, tau)], the time that the space is really held: longer leases, and the
    right price where the return of the tool ends the lease. A `price` other than 1 is ours, for a cache that takes
    more or less of the memory than others do.
    """

    default: float = 2.0  # seconds; that of the authors' first release
    samples: int = 100  # durations up to which a history is too short; the paper's
    window: int = 100  # waits that T is the mean of
    history: int = 4096  # durations kept of a tool, and of all tools
    price: float = 1.0  # of a second
    charge: Charge = "ttl"  # what is paid for: the whole lease, or the time held
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
        """Return tau for a cache that takes `reload` seconds to compute again."""
        if len(self._all) <= self.samples:
            return self.default
        own = self._tools.get(tool, self._all)
        durations = np.sort(np.asarray(own if len(own) > self.samples else self._all))
        return best_ttl(durations, self.eta * self.wait + reload, self.price, self.charge)

    @property
    def wait(self) -> float:
        """T: the mean wait of requests whose cache was evicted, 0 while there was none."""
        return sum(self._waits) / len(self._waits) if self._waits else 0.0

    @property
    def eta(self) -> float:
        """-corr(k, N - k) over the turns k = 1..N-1 of finished programs; k and N - k have the same distribution."""
        n, k, square, product = self._moments
        variance = square - k * k / n if n else 0.0
        return float(-(product - k * k / n) / variance) if variance > 0 else 1.0

    def record_tool(self, tool: str, seconds: float) -> None:
        """Record how long a tool call took."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise InvalidInput(f"tool {tool!r} took {seconds} seconds: expected a finite number of 0 or more.")
        self._tools.setdefault(tool, deque(maxlen=self.history)).append(seconds)
        self._all.append(seconds)

    def durations(self, tool: str) -> tuple[float, ...]:
        """Return the durations recorded of a tool, oldest first."""
        return tuple(self._tools.get(tool, ()))

    def record_wait(self, seconds: float) -> None:
        """Record how long a request whose cache was evicted waited to be admitted."""
        self._waits.append(seconds)

    def record_program(self, turns: int) -> None:
        """Record how many turns a program had when it ended."""
        k = np.arange(1.0, turns)
        self._moments += (k.size, k.sum(), (k * k).sum(), (k * (turns - k)).sum())


def best_ttl(durations: NDArray[np.float64], gain: float, price: float = 1.0, charge: Charge = "ttl") -> float:
    """Return the tau among 0 and sorted `durations` with the largest P(D <= tau) gain - price c(tau), the least of equals.

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


class Pins(Generic[K]):
    """The programs that are pinned under a lease, and until when. Time comes from the caller, never from a clock."""

    def __init__(self, lease: Lease | None = None) -> None:
        self.lease: Lease = lease or NoLease()
        self._until: dict[K, float] = {}

    def start(self, program: K, tool: str, *, reload: float, now: float) -> float:
        """Pin a program whose tool starts, as long as the lease says; return until when, `now` for not at all."""
        self.end(program)
        seconds = self.lease.ttl(tool, reload)
        if not seconds > 0:
            return now
        until = self._until[program] = now + seconds
        return until

    def end(self, program: K) -> None:
        """End a pin, if there is one."""
        self._until.pop(program, None)

    def active(self, program: K, now: float) -> bool:
        """Return whether a program is pinned at `now`; it still is in the moment that its time ends."""
        return self._until.get(program, -math.inf) >= now

    def soonest(self) -> K | None:
        """Return the program whose pin ends first, None without pins."""
        return min(self._until, key=self._until.__getitem__, default=None)

    def expired(self, now: float) -> list[K]:
        """Return the programs whose time ended before `now`, in the order in which they were pinned. O(pins)."""
        return [program for program, until in self._until.items() if until < now]
