"""Kill a process at random moments and start it again: what the crash benchmarks share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from mnemos import Space
from mnemos.bench.registry import Result


class Victim(Protocol):
    """A process that can be killed and started again."""

    def start(self) -> None:
        """Start the process and wait until it works; do nothing if it runs."""

    def kill(self) -> None:
        """Kill the process with SIGKILL and wait until it is dead."""


def kills(victim: Victim, delays: Iterable[float]) -> Iterator[None]:
    """Start a process and kill it after each delay, in seconds; yield while it is dead."""
    for delay in delays:
        victim.start()
        time.sleep(max(delay, 0.0))
        victim.kill()
        yield


def damage(space: Space) -> list[str]:
    """Return what is wrong with a space: its file, what `doctor` finds, its audit log."""
    return [*space.store.checks.integrity(), *space.doctor().problems, *space.store.audit.verify()[1]]


def failures(result: Result, *names: str) -> str | None:
    """Return the counts that must be 0 (or empty) but are not, with the problems found; None if all are."""
    found = {name: result[name] for name in names if result[name]}
    return f"{found}: {result['problems']}" if found else None
