"""Commands on whole spaces: import, export, backup, restore, reindex, doctor."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnemos.bulk import Reindex, spread
from mnemos.cli.bulk import AllSpaces, check, over_spaces
from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import RayAddress, WorkerCount
from mnemos.cli.terminal import Terminal
from mnemos.errors import InvalidInput, StoreCorrupt, StoreError
from mnemos.tasks import load_workers
from mnemos.text.upkeep import Checkup, set_aside, told

if TYPE_CHECKING:
    from mnemos.transfer import FileReport, ImportReport

SHOWN = 20  # problems of an import that are printed; --json has all


@command()
def import_(
    t: Terminal,
    path: Annotated[Path, typer.Argument(help="A file or a folder.")],
    format: Annotated[
        str | None, typer.Option("--format", help="The format, if it cannot be recognised from the content.")
    ] = None,
    restore_erased: Annotated[
        bool, typer.Option("--restore-erased", help="Also import cubes that were erased from this space.")
    ] = False,
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone", metavar="ZONE", help="Whose clock times without an offset are on (default: the space's)."
        ),
    ] = None,
    me: Annotated[
        list[str] | None,
        typer.Option(
            "--me",
            metavar="NAME",
            help="Your name or address as a sender: what it sent is yours (default: the space's name).",
        ),
    ] = None,
    workers: WorkerCount = None,
    ray: RayAddress = None,
) -> None:
    """Import chats, account exports, notes, or an archive of Mnemos. Importing again changes nothing."""
    from mnemos.transfer import import_path
    from mnemos.transfer.report import reasons

    space = t.space(create=True)
    with load_workers(workers, ray) as helpers, t.progress(f"importing {path.name}") as step:
        spread(space, helpers)
        report = import_path(
            space, path, format=format, restore_erased=restore_erased, timezone=timezone, me=me or (), progress=step
        )
    if t.json:
        t.say(report.to_dict())
        return
    t.out.print(_counts(report.format, report), style="bold")
    for file in report.files if len(report.files) > 1 else ():
        if file.format:
            t.out.print(styled(f"  {file.name}: ").append_text(styled(_counts(file.format, file))), soft_wrap=True)
    for problem in report.problems[:SHOWN]:
        t.out.print(styled(str(problem), "yellow"), soft_wrap=True)
    if len(report.problems) > SHOWN:
        t.note(f"and {len(report.problems) - SHOWN:,} more problems; --json shows all")
    for title, found in (("left out", report.left_out), ("taken with a change", report.remarks)):
        for what, number, where in reasons(found)[:SHOWN]:
            t.out.print(styled(f"{title}: {number:,} x {what}, first {where}"), soft_wrap=True)


def _counts(format: str, report: FileReport | ImportReport) -> str:
    """Return what was done with a file, or with all of them, in a line."""
    parts = [f"{report.read:,} read", f"{report.added:,} added", f"{report.skipped:,} already stored"]
    parts += [f"{report.updated:,} updated"] if report.updated else []
    parts += [f"{report.removed:,} no longer in the source"] if report.removed else []
    parts += [f"{len(report.left_out):,} left out"] if report.left_out else []
    parts += [f"{len(report.problems):,} with problems"] if report.problems else []
    parts += [f"{report.undated:,} without a time, dated now"] if report.undated else []
    return f"{format}: {', '.join(parts)}"


@command()
def export(
    t: Terminal,
    path: Annotated[Path, typer.Argument(help="The file to write (markdown: the folder).")],
    format: Annotated[
        Literal["archive", "jsonl", "markdown"],
        typer.Option("--format", help="archive keeps ids, times and versions and can be imported again."),
    ] = "archive",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist. Links never are.")] = False,
) -> None:
    """Write a space to a file that others can read."""
    from mnemos import transfer

    write = {"archive": transfer.export_space, "jsonl": transfer.export_jsonl, "markdown": transfer.export_markdown}
    space = t.space()
    with t.progress(f"exporting {space.name}", space.count()) as step:
        written = write[format](space, path, overwrite=overwrite, progress=step)
    if t.json:
        t.say({"space": space.name, "path": str(path), "format": format, "cubes": written})
    else:
        t.out.print(styled(f"{written:,} cubes of {space.name} written to {path}"), soft_wrap=True)


@command("root", "space", "json")
def backup(
    t: Terminal,
    path: Annotated[Path, typer.Argument(help="The file to write, or a folder (with --all: a folder).")],
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Every space under the root, into a new folder in PATH that is named after the time."
        ),
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, help="With --all: remove older folders but for the newest N, only such as this made."
        ),
    ] = None,
) -> None:
    """Copy a whole space, also while it is in use, and check the copy. `mnemos restore` restores it."""
    if every:
        _backup_all(t, path, keep)
        return
    if keep is not None:
        raise InvalidInput("--keep needs --all: a single backup removes nothing.")
    name = t.space().name
    file = t.memory.backup(name, path)
    if t.json:
        t.say({name: str(file)})
    else:
        t.out.print(styled(f"{name} is in {file}"), soft_wrap=True)


def _backup_all(t: Terminal, path: Path, keep: int | None) -> None:
    """Back up every space and print where each is. Exit code 1 if one could not be read."""
    saved = t.memory.backup_all(path, keep=keep)
    if t.json:
        files = {name: str(file) for name, file in saved.files.items()}
        removed = [str(folder) for folder in saved.removed]
        t.say({"folder": str(saved.folder), "files": files, "problems": saved.problems, "removed": removed})
    else:
        for name, file in saved.files.items():
            t.out.print(styled(f"{name} is in {file}"), soft_wrap=True)
        for folder in saved.removed:
            t.out.print(styled(f"removed the older {folder}"), soft_wrap=True)
        for problem in saved.problems:
            t.out.print(styled(f"problem: {problem}", "yellow"), soft_wrap=True)
    if saved.problems:
        raise typer.Exit(1)


@command("root", "json")
def restore(
    t: Terminal,
    path: Annotated[Path, typer.Argument(help="A file that `mnemos backup` wrote (with --all: a folder).")],
    name: Annotated[str | None, typer.Option("--as", help="Restore it under this name.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing space of this name.")] = False,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Every space of a folder that `mnemos backup --all` wrote, or of the newest in PATH."
        ),
    ] = False,
    settings: Annotated[
        bool,
        typer.Option(
            "--settings", help="Also take whom the file trusts, whether it keeps secrets, and its weights as measured."
        ),
    ] = False,
) -> None:
    """Restore a space from a backup, after checking the backup."""
    if every:
        if name is not None:
            raise InvalidInput("--as names one space, and --all restores many. Leave one of them out.")
        spaces = t.memory.restore_all(path, replace=replace, settings=settings)
        if t.json:
            t.say({space.name: space.count() for space in spaces})
        for space in spaces if not t.json else ():
            t.out.print(styled(f"{space.name} is restored, with {space.count():,} cubes"), soft_wrap=True)
        return
    space = t.memory.restore(path, name=name, replace=replace, settings=settings)
    if t.json:
        t.say({"space": space.name, "cubes": space.count()})
    else:
        t.out.print(styled(f"{space.name} is restored, with {space.count():,} cubes"), soft_wrap=True)


@command()
def reindex(
    t: Terminal,
    every: AllSpaces = False,
    sample: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Embed only N texts, and map the vectors of the others from those of the embedder before: done at once, "
            "searches a little worse. A later reindex without it computes them too.",
        ),
    ] = None,
    workers: WorkerCount = None,
    ray: RayAddress = None,
) -> None:
    """Compute the vectors that are missing under the current embedder. It can be stopped and started again."""
    with load_workers(workers, ray) as found:
        if every:
            done = over_spaces(t, Reindex(sample), found, "reindexing")
            computed = {each.name: each.result for each in done if not each.problem}
        else:
            space = t.space()
            with t.progress(f"reindexing {space.name}", _without_vector(space.stats())) as step:
                computed = {space.name: space.reindex(step, found, sample)}
    if t.json:
        data = [{"space": name, "computed": number} for name, number in computed.items()]
        t.say(data if every else data[0])
    for name, number in computed.items() if not t.json else ():
        t.out.print(
            styled(
                f"{number:,} vectors computed in {name}" if number else f"{name}: nothing to do, no vector is missing"
            )
        )
    if every:
        check(done)


@command()
def doctor(
    t: Terminal,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Compute damaged words, dates and vectors again from the texts, and set rows aside that cannot be read.",
        ),
    ] = False,
    aside: Annotated[bool, typer.Option("--aside", help="Only show the damaged rows that were set aside.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Check every file under the root, not one space.")] = False,
) -> None:
    """Check a space's file, its words and its vectors. Exit code 1 if anything is wrong."""
    if aside:
        _show_aside(t)
        return
    reports = _every(t, repair) if every else [_check(t, None, repair)]
    if t.json:
        data = [{**asdict(report), "healthy": report.healthy} for report in reports]
        t.say(data if every else data[0])
    else:
        for report in reports:
            _print(t, report)
    if not all(report.healthy for report in reports):
        raise typer.Exit(1)


def _every(t: Terminal, repair: bool) -> list[Checkup]:
    return [
        Checkup(Path(found.where).name, problems=[found.problem])
        if found.name is None
        else _check(t, found.name, repair)
        for found in t.memory.stores.inventory()
    ]


def _check(t: Terminal, name: str | None, repair: bool) -> Checkup:
    """Return the problems of a space, also if its file is too damaged to be opened."""
    try:
        space = t.space() if name is None else t.memory.space(name)
        with t.progress(f"checking {space.name}", space.stats()["versions"]) as step:
            return space.doctor(repair=repair, progress=step)
    except StoreCorrupt as error:
        return _salvage(t, name or t.settings.space or "default", str(error), repair)
    except StoreError as error:
        return Checkup(name or t.settings.space or "default", problems=[str(error)])


def _salvage(t: Terminal, name: str, problem: str, repair: bool) -> Checkup:
    """Return the problem of a space that cannot be opened; with `repair` save what can be read, and check that."""
    if not repair:
        note = (
            "`mnemos doctor --repair` saves what can be read into a new file and keeps this one; copy the file first."
        )
        return Checkup(name, problems=[problem], notes=[note])
    try:
        saved = t.memory.salvage(name)
    except StoreError as error:
        return Checkup(name, problems=[problem, str(error)])
    report = t.memory.space(name).doctor(repair=True)
    return replace(report, problems=[problem, *report.problems], repaired=[told(saved), *report.repaired])


def _print(t: Terminal, report: Checkup) -> None:
    state = "healthy" if report.healthy else "NOT healthy"
    title = styled(f"{report.space}: {report.cubes:,} cubes read, {state}", "green" if report.healthy else "bold red")
    t.out.print(title, soft_wrap=True)
    for problem in report.problems:
        t.out.print(styled(f"  problem: {problem}", "yellow"), soft_wrap=True)
    for remedy in report.repaired:
        t.out.print(styled(f"  repaired: {remedy}", "green"), soft_wrap=True)
    for note in report.notes:
        t.note(f"  note: {note}")
    if not report.healthy and not report.repaired and report.cubes:
        t.note(
            f"mnemos doctor --repair -s {report.space} repairs words, dates and vectors, and sets rows aside that cannot be "
            "read; texts are never changed"
        )


def _show_aside(t: Terminal) -> None:
    """Print the damaged rows that `doctor --repair` has set aside, with all their values."""
    rows = set_aside(t.space().text)
    if t.json:
        t.say([asdict(row) for row in rows])
        return
    for row in rows:
        t.out.print(
            styled(f"{row.table}{f' of cube {row.cube}' if row.cube else ''}: {row.reason}", "yellow"), soft_wrap=True
        )
        t.out.print(styled(f"  {row.row}"), soft_wrap=True)
    if not rows:
        t.note("nothing is set aside")


def _without_vector(stats: dict[str, Any]) -> int | None:
    """Estimate how many cubes have no vector of the current model; None if that is unknown."""
    model = stats["embedder"]
    if not isinstance(model, dict):
        return None
    there = [m["vectors"] for m in stats["models"] if all(m[key] == model[key] for key in model)]
    return max(0, stats["cubes"] - sum(there)) or None
