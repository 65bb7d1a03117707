"""Commands that erase: forget, verify-erasure."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Unpack

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.render import show_cubes, show_offers
from mnemos.cli.terminal import Terminal
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.erasure import Receipt
from mnemos.guard.preview import Preview
from mnemos.text.recall.filters import Filters

SHOWN = 10  # cubes, and offers, that are printed before the question


@command(filters=True)
def forget(
    t: Terminal,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of the cubes to erase.")] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", "-q", help="A phrase: erase the cubes that say exactly this, as whole words."),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Erase all cubes of the space.")] = False,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be erased; erase nothing.")] = False,
    receipt: Annotated[Path | None, typer.Option("--receipt", help="Write the receipt to this file.")] = None,
    **filters: Unpack[Filters],
) -> None:
    """Erase the chosen cubes and everything derived from them, search for remains, and write a receipt."""
    space = t.space()
    doomed = space.forget_preview(ids or (), query=query, everything=everything, **filters)
    if preview:
        _show(t, doomed)
        return
    if not doomed:
        if not t.json:
            show_offers(t.err, doomed.offers[:SHOWN])
        raise NotFound(f"nothing in space {space.name!r} matches{' exactly' if query else ''}; nothing was erased.")
    if not yes:
        if t.json:
            raise InvalidInput("forget cannot ask for confirmation with --json: add --yes. Nothing was erased.")
        show_cubes(t.err, doomed[:SHOWN])
        show_offers(t.err, doomed.offers[:SHOWN])
        if not typer.confirm(f"Erase these {len(doomed):,} cubes with all their versions?", err=True):
            t.note("nothing was erased")
            raise typer.Exit(1)
    done = space.forget([cube.id for cube in doomed])
    if receipt is not None:
        receipt.write_text(done.to_json() + "\n", encoding="utf-8")
    if t.json:
        t.say(asdict(done))
    else:
        state = "no remains found" if done.verified else f"REMAINS FOUND: {', '.join(done.remains)}"
        text = f"{len(done.ids):,} cubes ({done.versions:,} versions) were erased; {state}"
        t.out.print(styled(text, "" if done.verified else "bold red"))
    if not done.verified:
        raise typer.Exit(1)


def _show(t: Terminal, doomed: Preview) -> None:
    """Print what would be erased and what is near, on stdout."""
    if t.json:
        offers = [{"cube": offer.cube.to_dict(), "reason": offer.reason} for offer in doomed.offers]
        t.say({"cubes": [cube.to_dict() for cube in doomed], "offers": offers})
        return
    show_cubes(t.out, doomed)
    show_offers(t.out, doomed.offers)
    t.note(f"{len(doomed):,} would be erased; nothing was changed")


@command("root", "embedder", "json")
def verify_erasure(
    t: Terminal,
    receipt: Annotated[Path, typer.Argument(help="The file that `mnemos forget --receipt` wrote.")],
) -> None:
    """Search rows and raw bytes again for what a receipt says was erased. Exit code 1 if anything is found."""
    try:
        written = Receipt.from_json(receipt.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{receipt} cannot be read ({error.strerror}).") from error
    remains = t.memory.space(written.space).verify(written) if written.space in t.memory else []
    if t.json:
        print(json.dumps({"space": written.space, "ids": len(written.ids), "remains": remains}))
    elif remains:
        t.out.print(styled("\n".join(remains), "bold red"))
    else:
        t.out.print(styled(f"no remains of the {len(written.ids):,} cubes were found in {written.space}", "green"))
    if remains:
        raise typer.Exit(1)
