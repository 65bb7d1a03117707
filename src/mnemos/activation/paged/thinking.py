"""How long conversations wait for their next turn, learned by the engine that serves them, and what is pinned until then.

A user who reads and types is a tool call to the server: the pages of the conversation are worth keeping as long as the
user is likely to answer. `Continuum` (arXiv 2511.02230) decides from the distribution of real times; here they come from
the running engine, and outlast it (`dump`, `load`).
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from typing import Any

from mnemos.activation.paged.lease import Continuum
from mnemos.activation.paged.pool import Pool
from mnemos.errors import InvalidInput

KNOWN = 10_000  # conversations that are remembered while they wait
LONGEST = 86_400.0  # seconds: who returns later has begun something new
SAMPLES = 20  # times of one tool from which on it has a distribution of its own; the paper's 100 are calls of agents


def learned_lease() -> Continuum:
    """Return a lease for the users of a server: no pin before it has seen some, and paid by the time really held."""
    return Continuum(default=0.0, samples=SAMPLES, charge="held")


class ThinkTimes:
    """The lease of a pool and the times that it learns from, in the engine's thread."""

    def __init__(self, lease: Continuum | None = None) -> None:
        self.lease = lease or learned_lease()
        self._ended: OrderedDict[str, tuple[str, float, str, int]] = OrderedDict()  # by program
        self._counts: Counter[str] = Counter()  # times recorded, by tool
        self.seen = 0  # turns that arrived

    def ended(self, pool: Pool, name: str, program: str, tool: str, reload: float, now: float) -> None:
        """Free the sequence of a turn that has ended, pinned as long as the lease says."""
        _, _, before, turns = self._ended.pop(program, ("", 0.0, "", 0))
        if before:
            pool.unpin(before)
        self.lease.price = len(pool.table(name) or ()) / pool.blocks  # a second of the whole pool costs a second
        pool.pause(name, tool, reload=reload, now=now)
        self._ended[program] = (tool, now, name, turns + 1)
        while len(self._ended) > KNOWN:
            _, (_, _, name, turns) = self._ended.popitem(last=False)
            pool.unpin(name)
            self.lease.record_program(turns)

    def returned(self, pool: Pool, program: str, now: float) -> None:
        """Record that the next turn of a program has arrived: its pin ends, and its time is learned."""
        tool, since, name, turns = self._ended.get(program, ("", 0.0, "", 0))
        if not name:
            return
        pool.unpin(name)
        self._ended[program] = (tool, since, "", turns)
        if 0 <= now - since <= LONGEST:
            self._record(tool, now - since)
            self.seen += 1

    def count(self, tool: str) -> int:
        """Return how many times of a tool were recorded since it was created, loaded ones included."""
        return self._counts[tool]

    def dump(self, tool: str) -> str:
        """Return the times of a tool as JSON."""
        return json.dumps([round(seconds, 2) for seconds in self.lease.durations(tool)])

    def load(self, tool: str, text: str) -> int:
        """Learn times that `dump` returned, unless this tool is known; return how many. Raises InvalidInput."""
        try:
            times: Any = json.loads(text or "[]")
            seconds = [float(x) for x in times]
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"the think times of {tool!r} cannot be read ({error}): delete them.") from error
        if self.lease.durations(tool):
            return 0
        for x in seconds:
            self._record(tool, x)
        return len(seconds)

    def _record(self, tool: str, seconds: float) -> None:
        self.lease.record_tool(tool, seconds)
        self._counts[tool] += 1
