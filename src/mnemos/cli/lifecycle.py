"""Commands on the life of memories: consolidate, facts, rollback, pin, archive, policy, audit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mnemos.cli.escape import styled
from mnemos.cli.options import AsOf, CubeId, EmbedderSpec, Json, ReasonerSpec, Root, SpaceName, pairs
from mnemos.cli.render import columns
from mnemos.cli.terminal import terminal
from mnemos.cube import to_jsonable
from mnemos.errors import InvalidInput
from mnemos.text.forget.policy import Policy

NUMBERS = ("min_retention", "cubes", "bytes", "days", "archived_cubes", "archived_bytes", "archived_days")


def consolidate(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Derived cubes to write at most in this run.")] = 2_000,
    reasoner: ReasonerSpec = None,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Sum up sessions, days and weeks, profile, link, promote what is hot, and let go of what is stale."""
    with terminal(ctx, root, space, embedder, as_json, reasoner=reasoner) as t:
        here = t.space()
        with t.progress(f"consolidating {here.name}") as step:
            done = here.consolidate(limit=limit, progress=step)
        if t.json:
            t.say({**asdict(done), "ids_waiting": len(done.ids_waiting), "changed": done.changed})
            return
        if not done.changed:
            t.out.print("nothing new: nothing was done")
            return
        table = columns("what", "count")
        for name, count in done.written.items():
            table.add_row(f"{name} written", f"{count:,}")
        counts = {
            "removed": done.removed, "linked": done.linked, "looked at by the reasoner": done.reconsidered,
            "promoted": done.promoted, "archived": len(done.forgotten.archived), "erased": len(done.forgotten.erased),
        }  # fmt: skip
        for name, count in counts.items():
            if count:
                table.add_row(name, f"{count:,}")
        t.out.print(table)
        if done.more:
            t.note("the limit was reached: run it again to go on")


def facts(
    ctx: typer.Context,
    subject: Annotated[str | None, typer.Argument(help="About whom or what, such as ana; all without it.")] = None,
    attribute: Annotated[str | None, typer.Option("--attribute", "-a", help="Only this, such as 'live in'.")] = None,
    past: Annotated[bool, typer.Option("--past", help="Also what held once.")] = False,
    as_of: AsOf = None,
    root: Root = None,
    space: SpaceName = None,
    as_json: Json = False,
) -> None:
    """Show what is known: the facts that hold now, or held as believed at a moment."""
    with terminal(ctx, root, space, "none", as_json) as t:
        found = t.space().facts(subject and subject.lower(), attribute, as_of=as_of, ended=past)
        if t.json:
            t.say([to_jsonable(asdict(fact)) for fact in found])
            return
        if not found:
            t.out.print("no facts are known")
            return
        table = columns("subject", "attribute", "value", "since", "until", "cube")
        for f in found:
            until = f"{f.valid_to:%Y-%m-%d}" if f.valid_to else ""
            name = f"not {f.attribute}" if f.negated else f.attribute
            table.add_row(*map(styled, (f.subject, name, f.value, f"{f.valid_from:%Y-%m-%d}", until, f.cube)))
        t.out.print(table)


def rollback(
    ctx: typer.Context,
    id: CubeId,
    version: Annotated[int, typer.Argument(help="The version to go back to, as `mnemos history` shows it.")],
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
) -> None:
    """Make an earlier version of a cube its newest one; nothing is lost."""
    with terminal(ctx, root, space, embedder, as_json) as t:
        cube = t.space().rollback(id, version)
        if t.json:
            t.say(cube.to_dict())
        else:
            t.out.print(styled(f"{id} says again what version {version} said, as version {cube.version}"))


def pin(
    ctx: typer.Context,
    id: CubeId,
    off: Annotated[bool, typer.Option("--off", help="Do not keep it any more.")] = False,
    root: Root = None,
    space: SpaceName = None,
    as_json: Json = False,
) -> None:
    """Keep a cube from being let go of by the policy of the space."""
    with terminal(ctx, root, space, "none", as_json) as t:
        t.space().pin(id, on=not off)
        t.say({"id": id, "pinned": not off}) if t.json else t.out.print(
            styled(f"{id} is {'not ' if off else ''}pinned")
        )


def archive(
    ctx: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The cubes.")],
    back: Annotated[bool, typer.Option("--back", help="Bring archived cubes back into search.")] = False,
    root: Root = None,
    space: SpaceName = None,
    as_json: Json = False,
) -> None:
    """Take cubes out of search, restorable; or bring them back."""
    with terminal(ctx, root, space, "none", as_json) as t:
        here = t.space()
        changed = here.unarchive(ids) if back else here.archive(ids)
        if t.json:
            t.say({"changed": list(changed)})
        else:
            t.out.print(f"{len(changed):,} {'are in search again' if back else 'archived'}")
        if len(changed) < len(set(ids)):
            raise InvalidInput(
                f"{len(set(ids)) - len(changed)} of the ids are not {'archived' if back else 'active'} cubes."
            )


def policy(
    ctx: typer.Context,
    law: Annotated[str | None, typer.Option("--law", help="The law of forgetting: see `mnemos methods`.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=NUMBER", help=f"A budget ({', '.join(NUMBERS)}), or a constant of the law; "
                     "KEY=null takes a budget away."),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be let go of now; change nothing.")] = False,
    root: Root = None,
    space: SpaceName = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show or set what the space lets go of. `mnemos consolidate` applies it."""
    with terminal(ctx, root, space, "none", as_json) as t:
        here = t.space()
        now = here.policy
        given = pairs(settings, "--set")
        if law or given:
            values = asdict(now)
            if law and law != now.law:
                values |= {"law": law, "constants": {}}
            values |= {k: v for k, v in given.items() if k in NUMBERS}
            values["constants"] = {**values["constants"], **{k: v for k, v in given.items() if k not in NUMBERS}}
            now = Policy(**values)
            if not preview:
                here.policy = now
        if preview:
            forgotten = here.apply_policy(preview=True)
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


audit = typer.Typer(no_args_is_help=True, help="Who changed what and when: a log that cannot be altered unseen.")


@audit.command("show")
def audit_show(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entries to show.")] = 20,
    after: Annotated[int, typer.Option("--after", help="Only entries above this number.")] = 0,
    root: Root = None,
    space: SpaceName = None,
    as_json: Json = False,
) -> None:
    """Show entries, oldest first."""
    with terminal(ctx, root, space, "none", as_json) as t:
        found = t.space().store.audit.entries(after=after, limit=limit)
        if t.json:
            t.say([to_jsonable(asdict(entry)) for entry in found])
            return
        table = columns("entry", "when", "who", "what", "cubes", "chain")
        for e in found:
            table.add_row(
                str(e.index), f"{e.made:%Y-%m-%d %H:%M:%S}", styled(e.actor), e.action, f"{e.cubes:,}", e.chain
            )
        t.out.print(table)


@audit.command("verify")
def audit_verify(
    ctx: typer.Context,
    head: Annotated[
        str | None, typer.Option("--head", help="The chain value of an entry that must be there, as show prints it.")
    ] = None,
    root: Root = None,
    space: SpaceName = None,
    as_json: Json = False,
) -> None:
    """Recompute the chain of hashes. Exit code 1 when an entry was changed, removed or inserted."""
    with terminal(ctx, root, space, "none", as_json) as t:
        here = t.space()
        count, problems = here.store.audit.verify(head)
        if t.json:
            t.say({"space": here.name, "entries": count, "problems": problems})
        elif problems:
            t.out.print(styled("\n".join(problems), "bold red"))
        else:
            t.out.print(styled(f"{count:,} entries of {here.name}: the chain is whole", "green"))
        if problems:
            raise typer.Exit(1)
