"""`mnemos bench NAME`: measure, and `mnemos bench report`: render the tables of the docs.

The commands are made from the registry of benchmarks: the options of a command are the fields of the benchmark's data
class, their help is the comments at the fields. A benchmark is imported when its command is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperGroup

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import RayAddress, WorkerCount
from mnemos.cli.parameters import parameters
from mnemos.cli.render import columns
from mnemos.cli.terminal import Terminal
from mnemos.tasks import load_workers

if TYPE_CHECKING:
    from mnemos.bench.registry import Benchmark, Rows

EMBEDDER = "embedder"  # a field of this name takes the embedder of the command line
NAMED = "part"  # parts of a benchmark that has some, named without --parts
Named = Annotated[str | None, typer.Argument(metavar="PART,...", help="The same as --parts.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Where to write the result, a .json file or a folder (default: benchmarks/results)."),
]


class Benchmarks(TyperGroup):
    """The benchmarks of a package as commands, beside the commands that are written out here."""

    package = "mnemos.bench"

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, without an import of the benchmarks."""
        from mnemos.bench.registry import names

        return [*names(self.package), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, made from its benchmark; None for a name that is not known."""
        from mnemos.bench.registry import get, names

        if cmd_name in names(self.package):
            return command_of(get(cmd_name))
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Benchmarks,
    no_args_is_help=True,
    help="Measure: each run writes one JSON result that the docs are rendered from.",
)


@app.command()
@command("json")
def report(
    t: Terminal,
    results: Annotated[Path, typer.Option("--results", help="The folder with the results.")] = Path(
        "benchmarks/results"
    ),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a page is not current.")] = False,
) -> None:
    """Render the tables of README.md and docs/ from the results."""
    from mnemos.bench.report import render

    changed = [path.as_posix() for path in render(results=results, check=check)]
    if t.json:
        t.say({"changed": changed})
    else:
        t.out.print(styled(f"rendered: {', '.join(changed)}" if changed else "all pages are current"))


@app.command()
@command("json")
def sweep(
    t: Terminal,
    name: Annotated[str, typer.Argument(help="The benchmark.")],
    option: Annotated[str, typer.Argument(help="The option that is varied, such as seed.")],
    values: Annotated[list[str], typer.Argument(metavar="VALUE...", help="Its values.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder of the results; those that are there are kept.")],
    fixed: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="Another option, the same in each run.")
    ] = None,
    workers: WorkerCount = None,
    ray: RayAddress = None,
) -> None:
    """Run a benchmark with each of several values of an option. It can be stopped and started again."""
    from mnemos.bench.sweep import run_all, trials

    same = [f"--{pair}" for pair in fixed or ()]
    key = option.replace("-", "_")
    chosen = {value: _typed(name, [f"--{key.replace('_', '-')}={value}", *same]) for value in values}
    done: list[str] = []
    with load_workers(workers, ray) as helpers, t.progress(f"sweeping {name}", len(values)) as step:
        for file in run_all(trials(name, key, chosen, out.absolute()), helpers):
            done.append(str(file))
            step(1)
    if t.json:
        t.say(sorted(done))
    for path in sorted(done) if not t.json else ():
        t.out.print(styled(path), soft_wrap=True)


def _typed(name: str, given: list[str]) -> dict[str, Any]:
    """Return the options of a benchmark that were typed as on its command line."""
    from mnemos.bench.registry import get

    found = get(name)
    options = {option.name: option for option in _options(found)}
    typed = command_of(found).make_context(name, given).params
    return {key: options[key].read(value) for key, value in typed.items() if key in options and value is not None}


def command_of(found: Benchmark) -> Any:
    """Return the command that runs a benchmark."""
    options = {option.name: option for option in _options(found)}
    has_embedder = options.pop(EMBEDDER, None) is not None

    def run(t: Terminal, *, out: Path | None, **given: Any) -> None:
        if (named := given.pop(NAMED, None)) is not None:
            if given["parts"] is not None:
                raise typer.BadParameter(f"{named} and --parts {given['parts']} both choose parts: give one of them.")
            given["parts"] = named
        chosen = {name: options[name].read(value) for name, value in given.items() if value is not None}
        if has_embedder and t.given.embedder is not None:
            chosen[EMBEDDER] = t.given.embedder
        _run(t, found, out, chosen)

    own = [
        Parameter(o.name, Parameter.KEYWORD_ONLY, default=Parameter.empty if o.required else None, annotation=o.hint)
        for o in options.values()
    ]
    terminal = Parameter("t", Parameter.POSITIONAL_OR_KEYWORD, annotation=Terminal)
    out = Parameter("out", Parameter.KEYWORD_ONLY, default=None, annotation=Out)
    named = [Parameter(NAMED, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Named)] if found.parts else []
    run.__signature__ = Signature([terminal, *named, *own, out])  # type: ignore[attr-defined]
    alone = typer.Typer(add_completion=False)
    shared = (EMBEDDER, "json") if has_embedder else ("json",)
    alone.command(found.name, help=found.help)(command(*shared)(run))
    return typer.main.get_command(alone)


@dataclass(frozen=True)
class Option:
    """One option of a command, made from a field of a benchmark's data class."""

    name: str
    hint: Any  # its type as typer takes it
    read: Callable[[Any], Any]  # what was typed -> the value of the field
    required: bool


def _options(found: Benchmark) -> Iterator[Option]:
    hints = get_type_hints(found.options)
    comments = {parameter.name: parameter.comment for parameter in parameters(found.options)}
    for field in fields(found.options):
        kind: Any = hints[field.name]
        if isinstance(kind, UnionType):
            kind = next(k for k in get_args(kind) if k is not NoneType)
        required = field.default is MISSING
        help = comments[field.name][:1].upper() + comments[field.name][1:]
        read: Callable[[Any], Any] = _same
        if get_origin(kind) is tuple:
            read, kind = partial(_several, field.name, get_args(kind)[0]), str
            help += ", separated by commas"
        if not required and field.default not in (None, ()):
            shown = field.default if isinstance(field.default, tuple) else (field.default,)
            help += f" (default: {','.join(map(str, shown))})"
        flag = field.name.replace("_", "-")
        declared = f"--{flag}/--no-{flag}" if kind is bool else f"--{flag}"
        yield Option(
            field.name,
            Annotated[kind if required else kind | None, typer.Option(declared, help=f"{help}.")],
            read,
            required,
        )


def _same(value: Any) -> Any:
    return value


def _several(name: str, kind: Any, text: str) -> tuple[Any, ...]:
    """Return the values of a list that was typed with commas."""
    make = kind if isinstance(kind, type) else str
    try:
        return tuple(make(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"--{name.replace('_', '-')}: {text!r} is not a list such as 1000,10000.") from error


def _run(t: Terminal, found: Benchmark, out: Path | None, options: dict[str, Any]) -> None:
    from mnemos.bench.run import run_benchmark

    result = run_benchmark(found.name, out, **options)
    if t.json:
        t.say(result)
        return
    for name, table in found.tables.items():
        if rows := table(result):
            t.out.print(name, style="bold")
            _table(t, rows)


def _table(t: Terminal, rows: Rows) -> None:
    table = columns(*(str(head) for head in rows[0]))
    for row in rows[1:]:
        table.add_row(*(styled(str(cell)) for cell in row))
    t.out.print(table)
