"""Commands that look without searching: list, show, history, spaces, stats."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mnemos.cli.escape import one_line, styled
from mnemos.cli.options import (
    AsOf,
    CubeId,
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
from mnemos.cli.render import columns, facts, show_card, show_cubes, size, when
from mnemos.cli.terminal import terminal


def list_cubes(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to show.")] = 20,
    cursor: Annotated[int | None, typer.Option("--cursor", help="Where to go on, as the last page said.")] = None,
    session: Session = None,
    speaker: Speaker = None,
    role: Role = None,
    kind: Kind = None,
    source: Source = None,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Show cubes in the order in which they were written, a page at a time."""
    filters = chosen(
        where, session=session, speaker=speaker, role=role, kind=kind, source=source, since=since, until=until,
        as_of=as_of,
    )  # fmt: skip
    with terminal(ctx, root, space, embedder, as_json) as t:
        page = t.space().cubes(limit=limit, cursor=cursor, **filters)
        if t.json:
            t.say({"items": [cube.to_dict() for cube in page.items], "next_cursor": page.next_cursor})
            return
        show_cubes(t.out, page.items)
        if page.next_cursor is not None:
            t.note(f"more: repeat with --cursor {page.next_cursor}")
        elif not page.items:
            t.note("nothing here: leave out a filter or the cursor" if filters or cursor else "this space is empty")


def show(
    ctx: typer.Context,
    id: CubeId,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Show one cube with its whole header."""
    with terminal(ctx, root, space, embedder, as_json) as t:
        cube = t.space().get(id)
        if t.json:
            t.say(cube.to_dict())
            return
        data = cube.to_dict()
        text = data.pop("text")
        metadata = data.pop("metadata")
        data["parents"] = ", ".join(data["parents"])
        t.out.print(facts(data))
        if metadata:
            t.out.print(facts({"metadata": json.dumps(metadata, ensure_ascii=False, indent=2)}))
        t.out.print()
        t.out.print(styled(text), soft_wrap=not t.out.is_terminal)


def history(
    ctx: typer.Context,
    id: CubeId,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Show all versions of a cube, oldest first."""
    with terminal(ctx, root, space, embedder, as_json) as t:
        versions = t.space().history(id)
        if t.json:
            t.say([cube.to_dict() for cube in versions])
            return
        for cube in versions:
            until = f"until {when(cube.replaced)}" if cube.replaced else "current"
            title = styled(f"version {cube.version}  known from {when(cube.learned)}, {until}  ", "dim")
            show_card(t.out, title, styled(cube.text.strip()))


def spaces(
    ctx: typer.Context,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Show whose memories there are."""
    with terminal(ctx, root, space, embedder, as_json) as t:
        names = t.memory.spaces()
        found = sorted((s for s in t.memory.stores.inventory() if s.name in names), key=lambda s: s.name or "")
        if t.json:
            t.say([{"space": s.name, "bytes": s.nbytes, "path": s.where} for s in found])
            return
        if not found:
            t.note(f'no memories under {t.memory.root} yet: try mnemos add "..."')
            return
        table = columns("space", "size", "file")
        for s in found:
            table.add_row(styled(one_line(s.name or ""), "bold"), size(s.nbytes), styled(s.where, "dim"))
        t.out.print(table)


def stats(
    ctx: typer.Context,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Show how much is in a space, since when, and how large it is."""
    with terminal(ctx, root, space, embedder, as_json) as t:
        numbers = t.space().stats()
        if t.json:
            t.say(numbers)
            return
        models = [f"{m['name']} ({m['revision']}, {m['dimension']}): {m['vectors']:,}" for m in numbers["models"]]
        rows = {"space": numbers["space"]}
        rows |= {name: f"{numbers[name]:,}" for name in ("cubes", "versions", "sessions", "speakers", "archived")}
        rows |= {"first": numbers["first_at"], "last": numbers["last_at"], "size": size(numbers["bytes"])}
        t.out.print(facts({**rows, "vectors": "\n".join(models), "file": numbers["path"]}))
