"""Generates docs/reference/cli.md from the commands: `python -m mnemos.cli.document > docs/reference/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from mnemos.cli import app

SHARED = {"--root", "--space", "--embedder", "--json", "--config", "--help"}  # described once, on top
INTRO = """\
# The command line

<!-- generated from the commands by `python -m mnemos.cli.document > docs/reference/cli.md` -->

`mnemos COMMAND --help` prints the same. A time is a date (`2025-05-04`), a date with a time, or words such as
`8 May 2023`. Results go to standard output, everything else to standard error; there are no colours if the output
is not a terminal or `NO_COLOR` is set. Control characters and bidirectional overrides in stored text are shown as
escapes such as `\\x1b`, never sent to the terminal; `--json` prints the exact text.

Exit codes: 0 done, 1 an error (or `doctor` found something wrong, or `delete` was not confirmed), 2 a command line that
cannot be understood, 130 interrupted. With `--json` an error is one JSON object on standard error,
`{"error": ..., "type": ...}`.

`--root`, `--space`, `--embedder` and `--json` are accepted before or after the command; `--config` before it, and after
`serve` and `config`. [configuration.md](configuration.md) describes the file of settings and the environment variables.
"""


def commands(command: Any = None, path: str = "mnemos") -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name, in the order of the help."""
    command = command or typer.main.get_command(app)
    if not isinstance(command, TyperGroup):
        yield path, command
        return
    ctx = typer.Context(command)
    for name in command.list_commands(ctx):
        yield from commands(command.get_command(ctx, name), f"{path} {name}")


def render() -> str:
    """Return the page: the options of all commands, a table of the commands, then each command's own options."""
    lines = [INTRO, "| option | |", "| --- | --- |"]
    lines += [_row(p) for p in typer.main.get_command(app).params]
    lines += ["", "| command | what it does |", "| --- | --- |"]
    lines += [f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(command.help)} |" for name, command in commands()]
    for name, command in commands():
        own = [p for p in command.params if not SHARED.intersection(p.opts)]
        arguments = "".join(f" {_argument(p)}" for p in own if p.param_type_name == "argument")
        lines += ["", f"## {name}", "", f"`{name}{arguments}`", "", str(command.help)]
        if own:
            lines += ["", "| argument or option | |", "| --- | --- |", *map(_row, own)]
    return "\n".join(lines) + "\n"


def _argument(param: Any) -> str:
    name = str(param.metavar or param.name).upper()
    return name if param.required else f"[{name}]"


def _row(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"| `{_argument(param)}` | {_cell(param.help)} |"
    value = f" {param.metavar}" if param.metavar else ""
    names = ", ".join(f"`{name}{value}`" for name in (*param.opts, *param.secondary_opts))
    default = "" if param.default in (None, False, ()) or param.required else f" (default: {param.default})"
    needed = " (required)" if param.required else ""
    return f"| {names} | {_cell(param.help)}{default}{needed} |"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(render(), end="")
