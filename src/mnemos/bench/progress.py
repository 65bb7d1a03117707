"""Progress of a benchmark: a bar on stderr, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a benchmark tells while it runs."""

    def __call__(self, done: int) -> None:
        """Count the steps done since the last call."""

    def expect(self, total: int) -> None:
        """Announce the number of steps; without it the bar has no end."""


class Silent:
    """Progress that is not shown."""

    def __call__(self, done: int) -> None:
        """Do nothing."""

    def expect(self, total: int) -> None:
        """Do nothing."""


SILENT = Silent()


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs; nothing where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        class Bar:
            def __call__(self, done: int) -> None:
                bar.advance(task, done)

            def expect(self, total: int) -> None:
                bar.update(task, total=total)

        yield Bar()
