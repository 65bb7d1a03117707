"""The daily budget of a model, checked before every request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

COUNTS = ("calls", "failures", "retries", "prompt_tokens", "completion_tokens")
RAISE_IT = "Raise the budget, or wait for the next day"


class Fault(Exception):
    """A failed request: why, whether to try `again`, and after how many seconds if the server said so."""

    def __init__(self, problem: str, *, again: bool, wait: float | None = None) -> None:
        super().__init__(problem)
        self.again, self.wait = again, wait


@dataclass(frozen=True, slots=True)
class Booking:
    """A request within the budget, and the tokens reserved for it."""

    day: date
    tokens: int


class Ledger:
    """Books requests by day and counts by task. Safe for threads; it lives as long as its process.

    A request reserves its maximum cost, so that concurrent requests cannot exceed the budget together. The reserve is
    then replaced by the cost that the server reports. A day is a day of the clock.
    """

    def __init__(
        self, max_calls: int | None, max_tokens: int | None, clock: Callable[[], datetime], tasks: Iterable[str]
    ) -> None:
        self._max_calls, self._max_tokens, self._clock = max_calls, max_tokens, clock
        self._lock = threading.Lock()
        self._tasks = {task: dict.fromkeys(COUNTS, 0) for task in tasks}
        self._day = date.min
        self._calls = self._tokens = 0

    def reserve(self, tokens: int) -> Booking:
        """Book a request of at most `tokens` tokens. Raises Fault, and books nothing, if the budget does not allow it."""
        with self._lock:
            self._turn()
            if self._max_calls is not None and self._calls + 1 > self._max_calls:
                raise Fault(f"the budget of {self._max_calls} calls a day is used up. {RAISE_IT}", again=False)
            if self._max_tokens is not None and self._tokens + tokens > self._max_tokens:
                left = max(self._max_tokens - self._tokens, 0)
                raise Fault(
                    f"{left} of the {self._max_tokens} tokens a day are left and this call may take {tokens}. {RAISE_IT}",
                    again=False,
                )
            self._calls += 1
            self._tokens += tokens
            return Booking(self._day, tokens)

    def settle(self, booking: Booking, tokens: int, *, sent: bool = True) -> None:
        """Replace the reserve by the tokens used. With `sent` False the request was never sent and costs no call."""
        with self._lock:
            if booking.day == self._day:
                self._tokens += tokens - booking.tokens
                self._calls -= not sent

    def count(self, task: str, **counts: int) -> None:
        """Add to the counts of a task."""
        with self._lock:
            for name, number in counts.items():
                self._tasks[task][name] += number

    def stats(self) -> dict[str, Any]:
        """Return the counts by task, today's use and the budget, as plain data."""
        with self._lock:
            self._turn()
            return {
                "tasks": {task: dict(counts) for task, counts in self._tasks.items()},
                "today": {"day": self._day.isoformat(), "calls": self._calls, "tokens": self._tokens},
                "budget": {"max_calls_per_day": self._max_calls, "max_tokens_per_day": self._max_tokens},
            }

    def _turn(self) -> None:
        today = self._clock().date()
        if today > self._day:  # a clock that is set back must not give the budget a second time
            self._day, self._calls, self._tokens = today, 0, 0
