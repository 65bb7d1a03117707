"""Commands on the lifecycle of memories: consolidate, used, tune, facts, rollback, pin, unpin, archive, unarchive, policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mnemos.bulk import Consolidate
from mnemos.cli.bulk import AllSpaces, check, over_spaces
from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import AsOf, CubeId, CubeIds, RayAddress, TrueAt, WorkerCount, Zone, pairs
from mnemos.cli.render import columns
from mnemos.cli.terminal import Terminal
from mnemos.cube import to_jsonable
from mnemos.errors import InvalidInput
from mnemos.tasks import load_workers
from mnemos.text.consolidate.report import Consolidation
from mnemos.text.forget.policy import Policy

MORE = "the limit was reached: run it again to continue"
NUMBERS = ("min_retention", "cubes", "bytes", "days", "archived_cubes", "archived_bytes", "archived_days")


@command("reasoner", "root", "space", "embedder", "json")
def consolidate(
    t: Terminal,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most derived cubes to write in this run.")] = 2_000,
    every: AllSpaces = False,
    workers: WorkerCount = None,
    ray: RayAddress = None,
) -> None:
    """Summarise sessions, days and weeks, write profiles, link, promote hot cubes and apply the policy."""
    if every:
        _consolidate_all(t, limit, workers, ray)
        return
    if workers is not None or ray is not None:
        raise InvalidInput("--workers and --ray need --all-spaces: one space is consolidated by one process.")
    space = t.space()
    with t.progress(f"consolidating {space.name}") as step:
        done = space.consolidate(limit=limit, progress=step)
    if t.json:
        t.say(_data(done))
        return
    if not done.changed:
        t.out.print("Nothing new to consolidate")
        return
    table = columns("what", "count")
    for name, count in _counts(done).items():
        table.add_row(name, f"{count:,}")
    t.out.print(table)
    if done.more:
        t.note(MORE)


def _consolidate_all(t: Terminal, limit: int, workers: int | None, ray: str | None) -> None:
    """Consolidate every space. Exit code 1 if there was a problem with one."""
    with load_workers(workers, ray) as found:
        done = over_spaces(t, Consolidate(limit), found, "consolidating")
    results = [(each.name, each.result) for each in done if isinstance(each.result, Consolidation)]
    if t.json:
        t.say([{"space": name, **_data(result)} for name, result in results])
    else:
        for name, result in results:
            counts = ", ".join(f"{count:,} {what}" for what, count in _counts(result).items())
            t.out.print(styled(f"{name}: {counts or 'nothing new'}"), soft_wrap=True)
        if any(result.more for _, result in results):
            t.note(MORE)
    check(done)


def _data(done: Consolidation) -> dict[str, Any]:
    return {**asdict(done), "ids_waiting": len(done.ids_waiting), "changed": done.changed}


def _counts(done: Consolidation) -> dict[str, int]:
    """Return what a run has changed, without what it has not."""
    counts = {f"{name} written": count for name, count in done.written.items()}
    more = {
        "removed": done.removed, "linked": done.linked, "judged again by the reasoner": done.reconsidered,
        "promoted": done.promoted, "archived": len(done.forgotten.archived), "erased": len(done.forgotten.erased),
    }  # fmt: skip
    return counts | {what: count for what, count in more.items() if count}


@command()
def used(
    t: Terminal,
    question: Annotated[str, typer.Argument(help="The question, as it was asked.")],
    ids: CubeIds,
) -> None:
    """Note which cubes answered a question; `mnemos tune` learns from it. It is erased with each of them."""
    noted = t.space().used(question, ids)
    if t.json:
        t.say(noted.to_dict())
    else:
        t.out.print(f"noted, with {len(noted.parents):,} cubes")


@command()
def tune(
    t: Terminal,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would do; install nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Erase what was installed; what was noted stays.")] = False,
) -> None:
    """Fit the search of a space to its own use, and install it if questions that it has not seen are ranked better."""
    done = t.space().tune(preview=preview, undo=undo)
    if t.json:
        t.say(asdict(done))
    else:
        t.out.print(styled(done.reason), soft_wrap=True)


@command("root", "space", "json")
def facts(
    t: Terminal,
    subject: Annotated[str | None, typer.Argument(help="The subject, such as ana (default: all).")] = None,
    attribute: Annotated[
        str | None, typer.Option("--attribute", "-a", help="Only this attribute, such as 'live in'.")
    ] = None,
    include_ended: Annotated[bool, typer.Option("--include-ended", help="Also facts that are no longer true.")] = False,
    as_of: AsOf = None,
    true_at: TrueAt = None,
    timezone: Zone = None,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", help="Below 1 also what heads read that surely, such as 0.5.")
    ] = 1.0,
) -> None:
    """Show the facts that are true now, or that were true or believed at a moment."""
    found = t.space().facts(
        subject and subject.lower(),
        attribute,
        as_of=as_of,
        true_at=true_at,
        include_ended=include_ended,
        timezone=timezone,
        min_confidence=min_confidence,
    )
    if t.json:
        t.say([to_jsonable(asdict(fact)) for fact in found])
        return
    if not found:
        t.out.print("no facts are known")
        return
    table = columns("subject", "attribute", "value", "since", "until", "confidence", "cube")
    for f in found:
        until = f"{f.valid_to:%Y-%m-%d}" if f.valid_to else ""
        name = f"not {f.attribute}" if f.negated else f.attribute
        sure = "" if f.confidence == 1 else f"{f.confidence:.2f}"
        table.add_row(*map(styled, (f.subject, name, f.value, f"{f.valid_from:%Y-%m-%d}", until, sure, f.cube)))
    t.out.print(table)


@command()
def rollback(
    t: Terminal,
    id: CubeId,
    version: Annotated[int, typer.Argument(help="The version to go back to, as `mnemos history` shows it.")],
) -> None:
    """Write an earlier version of a cube again as its newest one; no version is lost."""
    cube = t.space().rollback(id, version)
    if t.json:
        t.say(cube.to_dict())
    else:
        t.out.print(styled(f"version {cube.version} of {id} repeats version {version}"))


@command("root", "space", "json")
def pin(t: Terminal, id: CubeId) -> None:
    """Exempt a cube from the policy of the space: it is neither archived nor erased."""
    _pin(t, id, True)


@command("root", "space", "json")
def unpin(t: Terminal, id: CubeId) -> None:
    """Let the policy of the space apply to a pinned cube again."""
    _pin(t, id, False)


def _pin(t: Terminal, id: str, on: bool) -> None:
    (t.space().pin if on else t.space().unpin)(id)
    if t.json:
        t.say({"id": id, "pinned": on})
    else:
        t.out.print(styled(f"{id} is {'' if on else 'not '}pinned"))


@command("root", "space", "json")
def archive(t: Terminal, ids: CubeIds) -> None:
    """Take cubes out of search; `mnemos unarchive` brings them back."""
    _report(t, ids, t.space().archive(ids), "archived", "active")


@command("root", "space", "json")
def unarchive(t: Terminal, ids: CubeIds) -> None:
    """Bring archived cubes back into search."""
    _report(t, ids, t.space().unarchive(ids), "back in search", "archived")


def _report(t: Terminal, ids: Sequence[str], changed: Sequence[str], done: str, needed: str) -> None:
    if t.json:
        t.say({"changed": list(changed)})
    else:
        t.out.print(f"{len(changed):,} {done}")
    if len(changed) < len(set(ids)):
        raise InvalidInput(f"{len(set(ids)) - len(changed)} of the ids are not {needed} cubes.")


@command("root", "space", "json")
def timezone(
    t: Terminal,
    zone: Annotated[
        str | None, typer.Argument(metavar="ZONE", help="Such as Europe/Lisbon, +05:30, UTC or local.")
    ] = None,
) -> None:
    """Show or set the time zone of the space: where naive times are told, and whose days "today" and plain dates are."""
    space = t.space(create=zone is not None)
    if zone is not None:
        space.timezone = zone
    if t.json:
        t.say({"space": space.name, "timezone": space.timezone})
    else:
        t.out.print(styled(space.timezone))


@command("root", "space", "json")
def policy(
    t: Terminal,
    law: Annotated[str | None, typer.Option("--law", help="The law of forgetting: see `mnemos methods`.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=NUMBER",
            help=f"A limit ({', '.join(NUMBERS)}), or a constant of the law; KEY=null removes a limit.",
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be archived and erased now; change nothing.")
    ] = False,
) -> None:
    """Show or set the policy by which the space archives and erases cubes. `mnemos consolidate` applies it."""
    space = t.space()
    now = space.policy
    given = pairs(settings, "--set")
    if law or given:
        values = asdict(now)
        if law and law != now.law:
            values |= {"law": law, "constants": {}}
        values |= {k: v for k, v in given.items() if k in NUMBERS}
        values["constants"] = {**values["constants"], **{k: v for k, v in given.items() if k not in NUMBERS}}
        now = Policy(**values)
        if not preview:
            space.policy = now
    if preview:
        forgotten = space.apply_policy(preview=True)
        if t.json:
            t.say(asdict(forgotten))
        else:
            t.out.print(
                f"{len(forgotten.archived):,} would be archived, {len(forgotten.erased):,} erased; nothing was changed"
            )
        return
    if t.json:
        t.say(asdict(now))
    else:
        table = columns("what", "set to")
        for name, value in asdict(now).items():
            if value not in (None, {}):
                table.add_row(name, styled(str(value)))
        t.out.print(table)
