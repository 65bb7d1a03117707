"""The command on settings: config."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from mnemos import config as settings
from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.render import columns
from mnemos.cli.terminal import Terminal
from mnemos.config import GENERAL, Setting
from mnemos.credentials import SECRETS, secret_source
from mnemos.errors import InvalidInput, MnemosError, StoreError
from mnemos.location import masked
from mnemos.system import default_root

PASSWORD = re.compile(r"(?<=//)[^/@\s]*(?=@)")  # in an address such as https://name:password@host
HEAD = """\
# Settings of Mnemos. Options and the environment (MNEMOS_ROOT, MNEMOS_SERVE_PORT, ...) take precedence over this file;
# `mnemos config` shows the settings in effect. Relative paths start at the folder of this file.
# Keys do not belong here: set {secrets} in the
# environment, or NAME_FILE to name a file with the key.
"""


@command("config", "reasoner", "root", "space", "embedder", "json")
def config(
    t: Terminal,
    init: Annotated[
        bool,
        typer.Option(
            "--init", help="Write a file of settings, all commented out; an existing file is never overwritten."
        ),
    ] = False,
) -> None:
    """Show the settings in effect and the source of each. Keys are shown as set or not set."""
    if init:
        path = write(t.given.config)
        if t.json:
            t.say({"written": str(path)})
        else:
            t.note(f"wrote {path}: remove the # from the settings you change", "green")
        return
    show(t)


def show(t: Terminal) -> None:
    """Print the settings in effect."""
    file = settings.read_file(t.given.config)
    found = list(t.given.sources().values())
    try:
        from mnemos.serve.config import read
    except MnemosError as lacking:
        t.warn(f"the settings of the server are not shown: {lacking}")
    else:
        found += read({}, file)[1]
    secrets = {name: secret_source(name) for name in SECRETS}
    rows = [Setting(s.name, _shown(s), s.source) for s in found]
    if t.json:
        t.say(
            {
                "file": None if file.path is None else str(file.path),
                "settings": {row.name: {"value": row.value, "source": row.source} for row in rows},
                "secrets": {name: {"set": source is not None, "source": source} for name, source in secrets.items()},
            }
        )
        return
    table = columns("setting", "value", "from")
    for row in rows:
        value = _cell(row.value)
        table.add_row(styled(row.name, "bold"), styled(value), styled(row.source, "dim"))
    for name, source in secrets.items():
        table.add_row(styled(name, "bold"), "set" if source else "not set", styled(source or settings.DEFAULT, "dim"))
    t.out.print(table)
    if file.path is None:
        t.note(f"there is no file of settings at {settings.default_path()}: `mnemos config --init` writes one")


def _shown(setting: Setting) -> Any:
    """Return a value for JSON, without passwords in addresses."""
    value = setting.value
    if setting.name == "root" and value is None:
        value = default_root()
    if setting.name == "root":
        return masked(str(value))
    if isinstance(value, (str, Path)):
        return PASSWORD.sub("…", str(value))
    return list(value) if isinstance(value, tuple) else value


def _cell(value: Any) -> str:
    if value in (None, []):
        return "not set"
    return value if isinstance(value, str) else json.dumps(value)


def write(given: Path | None) -> Path:
    """Write the file of settings, all commented out. Raises InvalidInput if it exists, and StoreError."""
    path = (given or Path(os.environ.get("MNEMOS_CONFIG") or settings.default_path())).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        raise InvalidInput(f"{path} exists already and was not changed. Name another file with --config.") from error
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror}). Name another file with --config.") from error
    return path


def template() -> str:
    """Return a file with every setting commented out and set to its default."""
    lines = [HEAD.format(secrets=", ".join(SECRETS))]
    for name, (default, about) in GENERAL.items():
        lines += [f"# {about}", _line(name, default), ""]
    try:
        from mnemos.serve.config import ServeSettings
    except MnemosError:
        return "\n".join(lines)
    lines += [f"[{settings.SERVE}]", ""]
    for name, field in ServeSettings.model_fields.items():
        lines += [f"# {field.description}", _line(name, field.default), ""]
    return "\n".join(lines).rstrip() + "\n"


def _line(name: str, default: Any) -> str:
    return f"# {name} = {json.dumps('' if default is None else default)}"
