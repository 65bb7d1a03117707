"""Commands that make forget: forget, verify-erasure."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mnemos.cli.escape import styled
from mnemos.cli.options import (
    EmbedderSpec,
    Json,
    Kind,
    Role,
    Root,
    Session,
    Since,
    Source,
    SpaceName,
    Speaker,
    Until,
    Where,
    chosen,
)
from mnemos.cli.render import show_cubes
from mnemos.cli.terminal import terminal
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.erasure import Receipt, verify

SHOWN = 10  # cubes of a preview that are printed


def forget(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The cubes to forget.")] = None,
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="Forget the cubes whose text has all content words of this.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Forget all cubes of the space.")] = False,
    session: Session = None,
    speaker: Speaker = None,
    role: Role = None,
    kind: Kind = None,
    source: Source = None,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would go; remove nothing.")] = False,
    receipt: Annotated[Path | None, typer.Option("--receipt", help="Write the receipt to this file.")] = None,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Remove what is chosen and all that was derived from it, prove that it is gone, and give a receipt."""
    filters = chosen(
        where, session=session, speaker=speaker, role=role, kind=kind, source=source, since=since, until=until
    )
    with terminal(ctx, root, space, embedder, as_json) as t:
        here = t.space()
        doomed = here.forget_preview(ids or (), query=query, everything=everything, **filters)
        if not doomed:
            raise NotFound(f"nothing in space {here.name!r} matches; nothing was removed.")
        if preview:
            if t.json:
                t.say([cube.to_dict() for cube in doomed])
            else:
                show_cubes(t.out, doomed)
                t.note(f"{len(doomed):,} would go; nothing was removed")
            return
        if not yes:
            if t.json:
                raise InvalidInput("forget cannot ask with --json: add --yes. Nothing was removed.")
            show_cubes(t.err, doomed[:SHOWN])
            if not typer.confirm(f"Remove these {len(doomed):,} for good, with all their versions?", err=True):
                t.note("nothing was removed")
                raise typer.Exit(1)
        done = here.forget([cube.id for cube in doomed])
        if receipt is not None:
            receipt.write_text(done.to_json() + "\n", encoding="utf-8")
        if t.json:
            t.say(asdict(done))
        else:
            state = "no remains found" if done.verified else f"REMAINS FOUND: {', '.join(done.remains)}"
            text = f"{len(done.ids):,} cubes ({done.versions:,} versions) are gone; {state}"
            t.out.print(styled(text, "" if done.verified else "bold red"))
        if not done.verified:
            raise typer.Exit(1)


def verify_erasure(
    ctx: typer.Context,
    receipt: Annotated[Path, typer.Argument(help="The file that `mnemos forget --receipt` wrote.")],
    root: Root = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Search the rows and the raw bytes of a space again for what a receipt says is gone. Exit code 1 if it is not."""
    with terminal(ctx, root, None, embedder, as_json) as t:
        try:
            written = Receipt.from_json(receipt.read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidInput(f"{receipt} cannot be read ({error.strerror}).") from error
        remains = verify(t.memory.space(written.space).store, written) if written.space in t.memory else []
        if t.json:
            print(json.dumps({"space": written.space, "ids": len(written.ids), "remains": remains}))
        elif remains:
            t.out.print(styled("\n".join(remains), "bold red"))
        else:
            t.out.print(styled(f"nothing of the {len(written.ids):,} cubes is left in {written.space}", "green"))
        if remains:
            raise typer.Exit(1)
