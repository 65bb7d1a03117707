"""Commands that read without a search: list, show, history, spaces, stats."""

from __future__ import annotations

import json
from typing import Annotated, Unpack

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import one_line, styled
from mnemos.cli.options import CubeId
from mnemos.cli.render import columns, facts, show_card, show_cubes, size, when
from mnemos.cli.terminal import Terminal
from mnemos.text.recall.filters import Filters


@command(filters=True)
def list_cubes(
    t: Terminal,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to show.")] = 20,
    cursor: Annotated[
        int | None, typer.Option("--cursor", help="Where to continue, as printed after the last page.")
    ] = None,
    **filters: Unpack[Filters],
) -> None:
    """Show cubes in the order in which they were written, a page at a time."""
    page = t.space().cubes(limit=limit, cursor=cursor, **filters)
    if t.json:
        t.say({"items": [cube.to_dict() for cube in page.items], "next_cursor": page.next_cursor})
        return
    show_cubes(t.out, page.items)
    if page.next_cursor is not None:
        t.note(f"more: repeat with --cursor {page.next_cursor}")
    elif not page.items:
        t.note("no cubes match: leave out a filter or the cursor" if filters or cursor else "this space is empty")


@command()
def show(t: Terminal, id: CubeId) -> None:
    """Show one cube with its whole header."""
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


@command()
def history(t: Terminal, id: CubeId) -> None:
    """Show all versions of a cube, oldest first."""
    versions = t.space().history(id)
    if t.json:
        t.say([cube.to_dict() for cube in versions])
        return
    for cube in versions:
        until = f"until {when(cube.replaced)}" if cube.replaced else "current"
        title = styled(f"version {cube.version}  known from {when(cube.learned)}, {until}  ", "dim")
        show_card(t.out, title, styled(cube.text.strip()))


@command()
def spaces(t: Terminal) -> None:
    """List the spaces, with the size and path of each."""
    names = t.memory.spaces()
    found = sorted((s for s in t.memory.stores.inventory() if s.name in names), key=lambda s: s.name or "")
    if t.json:
        t.say([{"space": s.name, "bytes": s.nbytes, "path": s.where} for s in found])
        return
    if not found:
        t.note(f'there are no spaces under {t.memory.root} yet: try mnemos add "..."')
        return
    table = columns("space", "size", "file")
    for s in found:
        table.add_row(styled(one_line(s.name or ""), "bold"), size(s.nbytes), styled(s.where, "dim"))
    t.out.print(table)


@command()
def stats(t: Terminal) -> None:
    """Show the counts, the time range and the size of a space."""
    numbers = t.space().stats()
    if t.json:
        t.say(numbers)
        return
    models = [f"{m['name']} ({m['revision']}, {m['dimension']}): {m['vectors']:,}" for m in numbers["models"]]
    rows = {"space": numbers["space"]}
    rows |= {name: f"{numbers[name]:,}" for name in ("cubes", "versions", "sessions", "speakers", "archived")}
    rows |= {"first": numbers["first_at"], "last": numbers["last_at"], "size": size(numbers["bytes"])}
    if numbers["feedback"]:
        rows["questions with noted answers"] = f"{numbers['feedback']:,}"
    if tuning := numbers["tuning"]:
        use = "" if tuning["in_use"] else "; not in use, since it is for another embedder"
        rows["tuned"] = (
            f"nDCG@10 {tuning['before']:.3f} to {tuning['after']:.3f} on {tuning['questions']:,} questions{use}"
        )
    t.out.print(facts({**rows, "vectors": "\n".join(models), "file": numbers["path"]}))
