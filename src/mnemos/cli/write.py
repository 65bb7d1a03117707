"""Commands that change cubes: add, update, delete."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import CubeId, Zone, pairs
from mnemos.cli.render import header, show_card
from mnemos.cli.terminal import Terminal
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput

NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # bytes that are no UTF-8 arrive as half surrogates
SaidBy = Annotated[str | None, typer.Option("--speaker", help="Who said it.")]
InSession = Annotated[str | None, typer.Option("--session", help="The session it belongs to.")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="When it happened; relative dates in the text are resolved against it."),
]
AsRole = Annotated[str | None, typer.Option("--role", help="The role of the speaker, such as user or assistant.")]
FromSource = Annotated[str | None, typer.Option("--source", help="Where it comes from, such as a file or a URL.")]
OfKind = Annotated[str | None, typer.Option("--kind", help="What it is, such as turn, fact or note.")]
Meta = Annotated[
    list[str] | None,
    typer.Option(
        "--meta", "-m", metavar="KEY=VALUE", help='Metadata; may be repeated. 5, true and "05" are read as JSON.'
    ),
]


@command()
def add(
    t: Terminal,
    text: Annotated[str | None, typer.Argument(help="The text; - or no text reads standard input.")] = None,
    speaker: SaidBy = None,
    session: InSession = None,
    at: At = None,
    timezone: Zone = None,
    role: AsRole = None,
    source: FromSource = None,
    kind: OfKind = None,
    meta: Meta = None,
    id: Annotated[str | None, typer.Option("--id", help="Your own id; adding it again changes nothing.")] = None,
) -> None:
    """Store a text. It is on disk when the command returns."""
    metadata = pairs(meta, "--meta")
    given = {
        "speaker": speaker,
        "session": session,
        "at": at,
        "timezone": timezone,
        "role": role,
        "source": source,
        "id": id,
    }
    content = _standard_input() if text in (None, "-") else text
    _check_text({**given, "text": content, "kind": kind, "meta": "".join(meta or ())})
    cube = t.space(create=True).add_many([{**given, "content": content, "kind": kind, "metadata": metadata}])[0]
    _report(t, cube, "stored")


@command()
def update(
    t: Terminal,
    id: CubeId,
    text: Annotated[str | None, typer.Argument(help="The new text; - reads standard input.")] = None,
    speaker: SaidBy = None,
    session: InSession = None,
    at: At = None,
    timezone: Zone = None,
    role: AsRole = None,
    source: FromSource = None,
    kind: OfKind = None,
    meta: Meta = None,
    valid_from: Annotated[
        str | None, typer.Option("--valid-from", metavar="TIME", help="When it begins to be true.")
    ] = None,
    valid_to: Annotated[
        str | None, typer.Option("--valid-to", metavar="TIME", help="When it stops being true.")
    ] = None,
) -> None:
    """Write the next version of a cube; `mnemos history` keeps the earlier ones."""
    metadata = pairs(meta, "--meta")
    given: dict[str, Any] = {
        "content": _standard_input() if text == "-" else text, "speaker": speaker, "session": session, "at": at,
        "timezone": timezone, "role": role, "source": source, "kind": kind, "valid_from": valid_from, "valid_to": valid_to,
    }  # fmt: skip
    _check_text({**given, "meta": "".join(meta or ())})
    changes = {name: value for name, value in given.items() if value is not None}
    space = t.space()
    if metadata:
        changes["metadata"] = {**space.get(id).metadata, **metadata}
    _report(t, space.update(id, **changes), "updated")


@command()
def delete(
    t: Terminal,
    id: CubeId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Erase a cube: all its versions and everything derived from it."""
    space = t.space()
    cube = space.get(id)
    if not yes:
        _confirm(t, cube)
    removed = space.delete(id)
    if t.json:
        t.say({"removed": removed})
    else:
        derived = f" and {len(removed) - 1} cubes derived from it" if len(removed) > 1 else ""
        t.out.print(styled(f"erased {id}{derived}"))


def _standard_input() -> str:
    if sys.stdin.isatty():
        raise InvalidInput('there is no text. Pass it as an argument, mnemos add "...", or on standard input.')
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"standard input is not UTF-8 ({error}). Convert it first, for example with iconv."
        ) from error


def _check_text(given: Mapping[str, str | None]) -> None:
    """Raise InvalidInput for an argument whose bytes are no text: what a shell passes on may be anything."""
    for name, value in given.items():
        if value and (bad := NO_TEXT.search(value)):
            raise InvalidInput(
                f"{name} is not text in UTF-8: character {bad.start() + 1:,} is {bad[0]!a}. Convert it first, for "
                "example with iconv, or import the file. Nothing was stored."
            )


def _confirm(t: Terminal, cube: MemCube) -> None:
    """Show the cube and ask for confirmation; without it the command ends and nothing is erased."""
    if t.json:
        raise InvalidInput("delete cannot ask for confirmation with --json: add --yes. Nothing was erased.")
    show_card(t.err, header(cube), styled(cube.text.strip()))
    try:
        agreed = typer.confirm("Erase this cube with all its versions?", err=True)
    except typer.Abort as error:
        raise InvalidInput(
            "there was no answer, so nothing was erased. Add --yes to erase without confirmation."
        ) from error
    if not agreed:
        t.note("nothing was erased")
        raise typer.Exit(1)


def _report(t: Terminal, cube: MemCube, done: str) -> None:
    if t.json:
        t.say(cube.to_dict())
    else:
        t.out.print(styled(f"{done} ").append_text(header(cube)), soft_wrap=True)
