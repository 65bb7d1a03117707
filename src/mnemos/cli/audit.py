"""Commands on the audit log of a space: audit log, audit verify."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.render import columns
from mnemos.cli.terminal import Terminal
from mnemos.cube import to_jsonable

app = typer.Typer(no_args_is_help=True, help="Who changed what and when: a log in which every alteration is detected.")


@app.command("log")
@command("root", "space", "json")
def log(
    t: Terminal,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entries to show.")] = 20,
    after: Annotated[int, typer.Option("--after", help="Only entries above this number.")] = 0,
) -> None:
    """Show entries of the audit log, oldest first."""
    found = t.space().audit(after=after, limit=limit)
    if t.json:
        t.say([to_jsonable(asdict(entry)) for entry in found])
        return
    table = columns("entry", "when", "who", "what", "cubes", "chain")
    for e in found:
        table.add_row(str(e.index), f"{e.made:%Y-%m-%d %H:%M:%S}", styled(e.actor), e.action, f"{e.cubes:,}", e.chain)
    t.out.print(table)


@app.command()
@command("root", "space", "json")
def verify(
    t: Terminal,
    head: Annotated[
        str | None,
        typer.Option("--head", help="The chain value of an entry that must be there, as `audit log` prints it."),
    ] = None,
) -> None:
    """Recompute the chain of hashes. Exit code 1 if an entry was changed, removed or inserted."""
    space = t.space()
    count, problems = space.verify_audit(head)
    if t.json:
        t.say({"space": space.name, "entries": count, "problems": problems})
    elif problems:
        t.out.print(styled("\n".join(problems), "bold red"))
    else:
        t.out.print(styled(f"{count:,} entries of {space.name}: the chain is whole", "green"))
    if problems:
        raise typer.Exit(1)
