"""What commands on all spaces share: the option, the bar, and the problems at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mnemos.bulk import Done, Opening, Work, on_spaces
from mnemos.cli.terminal import Terminal
from mnemos.errors import InvalidInput
from mnemos.tasks import Workers

AllSpaces = Annotated[
    bool, typer.Option("--all-spaces", help="Every space under the root; with workers several at once.")
]


def over_spaces(t: Terminal, work: Work, workers: Workers, what: str) -> list[Done]:
    """Do work on every space under the root, with a bar and a line for each problem; return it by name."""
    if t.given.space is not None:
        raise InvalidInput("--all-spaces works on every space, and --space names one. Leave one of them out.")
    stored = t.memory.stores.inventory()
    names = [found.name for found in stored if found.name is not None]
    done = [Done(Path(found.where).name, problem=found.problem) for found in stored if found.name is None]
    with t.progress(what, len(names)) as step:
        for each in on_spaces(Opening.of(t.memory, t.settings.reasoner), names, work, workers):
            done.append(each)
            step(1)
    for each in done:
        if each.problem:
            t.warn(f"{each.name}: {each.problem}")
    return sorted(done, key=lambda each: each.name)


def check(done: Sequence[Done]) -> None:
    """End the command with exit code 1 if there was a problem with a space."""
    if any(each.problem for each in done):
        raise typer.Exit(1)
