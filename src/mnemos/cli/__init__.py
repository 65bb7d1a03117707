"""The command line, `mnemos`. Each group of commands has a module; heavy libraries are imported when a command runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mnemos import __version__
from mnemos.cli import (
    about,
    audit,
    bench,
    configure,
    erase,
    keys,
    lifecycle,
    mcp,
    models,
    move,
    read,
    recall,
    serve,
    task,
    upkeep,
    weights,
    write,
)
from mnemos.cli.options import CliSettings, ConfigPath, EmbedderSpec, Json, Root, SpaceName
from mnemos.cli.output import OutputFailed, guard, report

__all__ = ["app", "main"]

UsageError: Any = typer.BadParameter.__mro__[1]  # typer vendors click; this is its base class of usage errors


class Group(TyperGroup):
    """The top-level command: with --json a usage error is JSON too."""

    def main(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        """Run the command line and exit."""
        given = list(sys.argv[1:] if args is None else args)
        before_text = given[: given.index("--")] if "--" in given else given
        if "--json" not in before_text or not options.get("standalone_mode", True):
            return super().main(args, **options)
        try:
            code = super().main(args, **{**options, "standalone_mode": False})
        except UsageError as error:
            print(json.dumps({"error": error.format_message(), "type": "UsageError"}), file=sys.stderr)
            code = error.exit_code
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    name="mnemos",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mnemos {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    root: Root = None,
    space: SpaceName = None,
    embedder: EmbedderSpec = None,
    as_json: Json = False,
    config: ConfigPath = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A memory for AI agents: offline, in milliseconds, without an LLM.

    The options below are accepted before or after the command; --config before it, and after serve and config.
    """
    ctx.obj = CliSettings(root, space, embedder, as_json, config=config)


REMEMBER, LIFE, UPKEEP, SERVE, ABOUT = (
    "Store and search", "Lifecycle", "Maintenance", "Servers and agents", "About Mnemos",
)  # fmt: skip
app.command("add", rich_help_panel=REMEMBER)(write.add)
app.command("search", rich_help_panel=REMEMBER)(recall.search)
app.command("context", rich_help_panel=REMEMBER)(recall.context)
app.command("list", rich_help_panel=REMEMBER)(read.list_cubes)
app.command("show", rich_help_panel=REMEMBER)(read.show)
app.command("history", rich_help_panel=REMEMBER)(read.history)
app.command("update", rich_help_panel=REMEMBER)(write.update)
app.command("delete", rich_help_panel=REMEMBER)(write.delete)
app.command("forget", rich_help_panel=REMEMBER)(erase.forget)
app.command("facts", rich_help_panel=REMEMBER)(lifecycle.facts)
app.command("rollback", rich_help_panel=REMEMBER)(lifecycle.rollback)
app.command("used", rich_help_panel=LIFE)(lifecycle.used)
app.command("tune", rich_help_panel=LIFE)(lifecycle.tune)
app.command("consolidate", rich_help_panel=LIFE)(lifecycle.consolidate)
app.command("policy", rich_help_panel=LIFE)(lifecycle.policy)
app.command("timezone", rich_help_panel=LIFE)(lifecycle.timezone)
app.command("pin", rich_help_panel=LIFE)(lifecycle.pin)
app.command("unpin", rich_help_panel=LIFE)(lifecycle.unpin)
app.command("archive", rich_help_panel=LIFE)(lifecycle.archive)
app.command("unarchive", rich_help_panel=LIFE)(lifecycle.unarchive)
app.add_typer(task.app, name="task", rich_help_panel=LIFE)
app.add_typer(audit.app, name="audit", rich_help_panel=LIFE)
app.command("spaces", rich_help_panel=UPKEEP)(read.spaces)
app.command("stats", rich_help_panel=UPKEEP)(read.stats)
app.command("import", rich_help_panel=UPKEEP)(upkeep.import_)
app.command("export", rich_help_panel=UPKEEP)(upkeep.export)
app.command("backup", rich_help_panel=UPKEEP)(upkeep.backup)
app.command("restore", rich_help_panel=UPKEEP)(upkeep.restore)
app.command("move", rich_help_panel=UPKEEP)(move.move)
app.command("reindex", rich_help_panel=UPKEEP)(upkeep.reindex)
app.command("doctor", rich_help_panel=UPKEEP)(upkeep.doctor)
app.add_typer(weights.app, name="weights", rich_help_panel=LIFE)
app.add_typer(models.app, name="models", rich_help_panel=UPKEEP)
app.command("verify-erasure", rich_help_panel=UPKEEP)(erase.verify_erasure)
app.command("serve", rich_help_panel=SERVE)(serve.serve)
app.command("config", rich_help_panel=SERVE)(configure.config)
app.add_typer(keys.app, name="keys", rich_help_panel=SERVE)
app.command("mcp", rich_help_panel=SERVE)(mcp.mcp)
app.command("demo", rich_help_panel=ABOUT)(about.demo)
app.command("methods", rich_help_panel=ABOUT)(about.methods)
app.add_typer(bench.app, name="bench", rich_help_panel=ABOUT)


def main() -> None:
    """Run `mnemos`: the entry point of the package."""
    guard()
    code: int | str | None = 0
    try:
        try:
            app(prog_name="mnemos")
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
    except (OutputFailed, OSError) as error:
        code = report(error, "--json" in sys.argv)
    sys.exit(code)
