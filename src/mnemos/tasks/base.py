"""The contract of workers: run a function on many tasks, somewhere, and yield the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Protocol, TypeVar

from mnemos.errors import MnemosError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2  # tasks in flight for each worker: one that it works on, and one that waits for it
TRIES = 3  # times that a task is begun; the worker of each but the last was lost


class WorkerLost(MnemosError):
    """The workers of a task were lost each time that it was tried. What other tasks committed is kept."""


class Workers(Protocol):
    """Where tasks run. A context manager: workers start when it is entered or first used, and end when it is left."""

    @property
    def count(self) -> int:
        """The number of workers."""

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the result of each task once, in the order in which they are finished.

        Tasks are taken from the iterable as workers become free: at most `AHEAD` for each worker are in flight, so that
        a slow consumer slows down the workers and not even a long iterable fills the memory. A task whose worker is lost
        is tried again, `TRIES` times in all, so a function must be safe to repeat. The function, tasks and results travel
        between processes by pickle. An error of the function ends the run: it is raised, and tasks that have not begun
        are dropped. Raises WorkerLost.
        """

    def __enter__(self) -> Workers:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""


class Inline:
    """Implements `Workers`: the caller does the work itself, task by task, when it asks for the next result."""

    count = 1

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order of the tasks."""
        yield from map(function, tasks)

    def __enter__(self) -> Inline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""


INLINE = Inline()


def lost(task: object) -> WorkerLost:
    """Return the error about a task whose workers were lost."""
    return WorkerLost(
        f"the workers of {task!r:.80} were lost {TRIES} times, perhaps for want of memory. What was committed is kept: use "
        "fewer workers, or machines with more memory, and run it again, which continues from there."
    )
