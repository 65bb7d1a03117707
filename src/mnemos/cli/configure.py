"""The command about settings: config."""

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
from mnemos.system import default_root

PASSWORD = re.compile(r"(?<=//)[^/@\s]*(?=@)")  # in an address such as https://name:password@host
HEAD = """\
# Settings of Mnemos. What stands here counts less than an option and than the environment (MNEMOS_ROOT,
# MNEMOS_SERVE_PORT and so on); `mnemos config` shows what is in force. Paths start at the folder of this file.
# Keys do not stand here: give {secrets} in the
# environment, or a file by NAME_FILE.
"""


@command("config", "reasoner", "root", "space", "embedder", "json")
def config(
    t: Terminal,
    init: Annotated[
        bool, typer.Option("--init", help="Write a file of settings, all commented out; never over one that is there.")
    ] = False,
) -> None:
    """Show the settings in force, and where each comes from. Keys are shown as set or not set."""
    if init:
        path = write(t.given.config)
        if t.json:
            t.say({"written": str(path)})
        else:
            t.note(f"{path} is written: take the # from what you set", "green")
        return
    show(t)


def show(t: Terminal) -> None:
    """Print what is in force."""
    file = settings.read_file(t.given.config)
    found = list(t.given.sources().values())
    try:
        from mnemos.serve.config import read
    except MnemosError as lacking:
        t.warn(f"the settings of the server are left out: {lacking}")
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
        t.note(f"there is no file of settings at {settings.usual_path()}: `mnemos config --init` writes one")


def _shown(setting: Setting) -> Any:
    """Return a value as JSON has it, without the passwords that addresses may hold."""
    value = setting.value
    if setting.name == "root" and value is None:
        value = default_root()
    if isinstance(value, (str, Path)):
        return PASSWORD.sub("…", str(value))
    return list(value) if isinstance(value, tuple) else value


def _cell(value: Any) -> str:
    if value in (None, []):
        return "not set"
    return value if isinstance(value, str) else json.dumps(value)


def write(given: Path | None) -> Path:
    """Write the file of settings where it is looked for, all commented out. Raises StoreError."""
    path = (given or Path(os.environ.get("MNEMOS_CONFIG") or settings.usual_path())).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        raise InvalidInput(f"{path} is there already. It was not changed; name another by --config.") from error
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror}). Name another by --config.") from error
    return path


def template() -> str:
    """Return a file in which every setting stands commented out, with its default."""
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
