"""The command that moves an installation: move."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.terminal import Terminal
from mnemos.cube import utc_now
from mnemos.errors import InvalidInput
from mnemos.location import locate
from mnemos.store.open import open_root
from mnemos.transfer.move import move as move_spaces
from mnemos.transfer.move import move_server

ROOT = "A root: a folder, or the URL of a Postgres database."


@command("json")
def move(
    t: Terminal,
    source: Annotated[str, typer.Argument(metavar="FROM", help=ROOT)],
    target: Annotated[str, typer.Argument(metavar="TO", help=ROOT + " A new one is made.")],
) -> None:
    """Copy every space of a root to another one, and compare them. It can be stopped and started again.

    The source is not changed. A space of the target with other content is never overwritten: then nothing is copied.
    """
    here, there = locate(source), locate(target)
    if here == there:
        raise InvalidInput(f"{here} is both the source and the target. Give two roots.")
    rows: list[dict[str, object]] = []
    with (
        closing(open_root(here, "move", utc_now, read_only=True)) as old,
        closing(open_root(there, "move", utc_now)) as new,
        t.progress(f"moving {here} (rows read, written and compared)") as step,
    ):
        for moved in move_spaces(old, new, lambda what, count: step(count)):
            rows.append({"space": moved.space, "done": moved.done, "rows": moved.total, "tables": moved.rows})
            if not t.json:
                t.out.print(
                    styled(
                        f"{moved.space}: {moved.done}, {moved.rows['cubes']:,} versions, {moved.total:,} rows compared"
                    ),
                    soft_wrap=True,
                )
        keys = move_server(here, there)
    if t.json:
        t.say({"from": str(here), "to": str(there), "spaces": rows, "keys": keys})
        return
    t.note(f"{len(rows):,} spaces and {keys:,} new keys of {here} are in {there}; nothing was removed", "green")
