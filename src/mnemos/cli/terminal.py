"""The terminal of a command: its settings, the memory it works on, and output for people or programs."""

from __future__ import annotations

import difflib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from mnemos.cli.escape import UNSAFE, one_line
from mnemos.cli.options import CliSettings
from mnemos.errors import MnemosError, NotFound
from mnemos.space import Space
from mnemos.system import Mnemos

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 200  # columns if the output is not a terminal and COLUMNS is not set
INTERRUPTED = "interrupted: work that was committed is kept, and nothing is half-done."


def to_json(data: object) -> str:
    """Return JSON for a person and a program: readable Unicode, but dangerous characters as escapes."""
    text = json.dumps(data, indent=2, ensure_ascii="utf" not in (sys.stdout.encoding or "").lower())
    return UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def fail(message: str, kind: str, as_json: bool) -> None:
    """Print one error on stderr: a red line, or a JSON object."""
    if as_json:
        print(json.dumps({"error": message, "type": kind}), file=sys.stderr)
    else:
        console(sys.stderr).print(one_line(message), style="red", soft_wrap=True)


def console(file: Any) -> Console:
    """Return a console that takes strings as they are: no markup, no emoji codes, no highlighting."""
    import os

    from rich.console import Console

    width = None if file.isatty() or os.environ.get("COLUMNS") else WIDE
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


class Terminal:
    """The settings of a command, its memory (opened on first use) and its two consoles."""

    def __init__(self, given: CliSettings, command: str) -> None:
        self.given = given
        self.command = command  # the name of the command that runs
        self.json = given.json
        self._memory: Mnemos | None = None

    @cached_property
    def settings(self) -> CliSettings:
        """The settings in effect. The file of settings is read only for commands that need it."""
        return self.given.in_force()

    @cached_property
    def out(self) -> Console:
        """The console on stdout; unused with --json."""
        return console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """The console on stderr, for progress, warnings and hints."""
        return console(sys.stderr)

    def say(self, data: object) -> None:
        """Print the JSON document of a command."""
        print(to_json(data))

    def note(self, text: str, style: str = "dim") -> None:
        """Print a line on stderr; nothing with --json."""
        if not self.json:
            self.err.print(one_line(text), style=style, soft_wrap=True)

    @property
    def memory(self) -> Mnemos:
        """The root, opened once."""
        if self._memory is None:
            s = self.settings
            self._memory = Mnemos(s.root, embedder=s.embedder, reasoner=s.reasoner, timezone=s.timezone)
        return self._memory

    def space(self, *, create: bool = False) -> Space:
        """Return the chosen space. Raises NotFound if it does not exist, unless `create` is set."""
        name = self.settings.space or "default"
        if not create and name not in self.memory:
            near = difflib.get_close_matches(name, self.memory.spaces(), n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f'`mnemos add "..." --space {name}` creates it.'
            raise NotFound(
                f"there is no space {name!r} under {self.memory.root} yet: {hint} `mnemos spaces` lists all."
            )
        return self.memory.space(name)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Yield a function that takes the number of items done since its last call, and shows a bar on stderr."""
        if self.json or not self.err.is_terminal:
            yield lambda done: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(one_line(what), total=total)
            yield lambda done: bar.advance(task, done)

    def warn(self, message: str) -> None:
        """Print a warning on stderr: a yellow line, or a JSON object."""
        if self.json:
            print(json.dumps({"warning": message}), file=sys.stderr)
        else:
            self.err.print(one_line(message), style="yellow", soft_wrap=True)

    def close(self) -> None:
        """Close what was opened."""
        if self._memory is not None:
            self._memory.close()


@contextmanager
def terminal(ctx: typer.Context, settings: CliSettings) -> Iterator[Terminal]:
    """Run a command: an error becomes one line and exit code 1, Ctrl-C exit code 130, and each warning one line."""
    t = Terminal(settings.over(ctx.find_root().obj), str(ctx.info_name))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield t
        except MnemosError as error:
            fail(str(error), type(error).__name__, t.json)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            fail(INTERRUPTED, "KeyboardInterrupt", t.json)
            raise typer.Exit(130) from error
        finally:
            t.close()
            for text in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)):
                t.warn(text)
