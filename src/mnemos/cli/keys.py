"""Commands on the keys of the REST server: keys list, keys add, keys revoke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.terminal import Terminal

if TYPE_CHECKING:
    from mnemos.serve.keys import KeyStore

app = typer.Typer(help="The keys of the REST server.", no_args_is_help=True)


@contextmanager
def _store(t: Terminal) -> Iterator[KeyStore]:
    from mnemos.serve.keys import KeyStore

    with closing(KeyStore.under(t.memory.root)) as store:
        yield store


@app.command("list")
@command("root", "json")
def list_keys(t: Terminal) -> None:
    """Show all keys: their ids, spaces, rights and times. The keys themselves are not stored."""
    with _store(t) as store:
        found = store.all()
        if t.json:
            t.say([key.public() for key in found])
            return
        if not found:
            t.note("there are no keys yet: `mnemos serve` creates the first one, `mnemos keys add` others")
        from rich.table import Table

        table = Table("id", "name", "spaces", "rights", "expires", "state", box=None)
        for key in found:
            until = "never" if key.expires is None else key.expires.isoformat(" ", "minutes")
            row = (key.id, key.name, ", ".join(key.spaces), ", ".join(key.rights), until, key.state(store.clock()))
            table.add_row(*(styled(cell) for cell in row))
        if found:
            t.out.print(table)


@app.command("add")
@command("root", "json")
def add_key(
    t: Terminal,
    name: Annotated[str, typer.Argument(help="A name for people, such as the owner's.")],
    space: Annotated[
        list[str], typer.Option("--space", "-s", help="A space, or a pattern such as 'team-*'; may be repeated.")
    ],
    right: Annotated[list[str], typer.Option("--right", "-r", help="read, write, erase or admin; may be repeated.")],
    days: Annotated[float | None, typer.Option("--days", help="Days until the key expires.")] = None,
) -> None:
    """Create a key and print it. It is shown only once."""
    with _store(t) as store:
        token, key = store.add(name, spaces=space, rights=right, days=days)
        if t.json:
            t.say({**key.public(), "key": token})
        else:
            t.note(f"key {key.id}; it is shown only once:")
            print(token)


@app.command("revoke")
@command("root", "json")
def revoke_key(
    t: Terminal,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `mnemos keys list` shows.")],
) -> None:
    """Revoke a key. Running servers reject it immediately."""
    with _store(t) as store:
        key = store.revoke(key_id)
        if t.json:
            t.say(key.public())
        else:
            t.note(f"key {key.id} ({key.name}) is revoked", "green")
