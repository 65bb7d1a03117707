"""Settings of the commands and the server: from options, the environment, one TOML file or the defaults, in this order.

The library never reads that file: programs pass their arguments to `Mnemos`. Secrets are in `credentials`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnemos.credentials import SECRETS
from mnemos.errors import InvalidInput
from mnemos.location import is_url

NAME = "mnemos.toml"
DEFAULT = "default"
SERVE = "serve"  # the table of the server's settings; `mnemos.serve.config` knows them
GENERAL: Mapping[str, tuple[str | None, str]] = {
    "root": (None, "Folder that holds the spaces, or the URL of a Postgres database."),
    "space": ("default", "The space that the commands use."),
    "embedder": ("bundled", "bundled, multilingual, none (words only), hashing, st:MODEL or openai:MODEL@URL."),
    "reasoner": ("rules", "rules, or openai:MODEL@URL: extracts facts and writes summaries."),
    "timezone": (None, "IANA time zone of spaces without their own (default: this machine's; UTC for the server)."),
}


@dataclass(frozen=True)
class Setting:
    """A setting in effect. `source` is "option", "environment NAME", "file PATH" or "default"."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True)
class ConfigFile:
    """The file of settings; `path` is None when no file was found."""

    path: Path | None = None
    general: Mapping[str, Any] = field(default_factory=dict)
    serve: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The name of this file as the source of a setting."""
        return f"file {self.path}"

    def resolve(self, path: Path) -> Path:
        """Return a path given in the file; a relative one starts at the file's folder."""
        return (self.path.parent if self.path else Path()) / path.expanduser()


def default_path() -> Path:
    """Return the path of the file when no other is named: in the user's folder of settings."""
    from platformdirs import user_config_path

    return user_config_path("mnemos", appauthor=False) / NAME


def read_file(given: Path | None = None) -> ConfigFile:
    """Return the file named by an option or $MNEMOS_CONFIG, or else the usual one if it exists.

    The current folder is never searched, since it may belong to anybody. Raises InvalidInput for a named file that does
    not exist, and for a file that cannot be read, is not valid TOML or has an unknown setting.
    """
    named = given or (Path(env) if (env := os.environ.get("MNEMOS_CONFIG")) else None)
    path = (named or default_path()).expanduser().absolute()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if named is None:
            return ConfigFile()
        whose = "--config" if given else "MNEMOS_CONFIG"
        raise InvalidInput(f"{whose} names {path}, which does not exist. `mnemos config --init` writes it.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = error if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise InvalidInput(f"{path} is not valid TOML: {why}.") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {path} ({error.strerror}). Check its permissions.") from error
    serve = data.pop(SERVE, {})
    if not isinstance(serve, dict):
        raise InvalidInput(f"{path}: {SERVE} must be a table. Write [{SERVE}] and the server's settings below it.")
    refuse_unknown(data, GENERAL, f"in {path}", f" Settings of the server belong in [{SERVE}].")
    for name, value in data.items():
        if not isinstance(value, str):
            raise InvalidInput(f'{path}: {name} must be a string, for example {name} = "...", not {value!r}.')
    return ConfigFile(path, data, serve)


def general(given: Mapping[str, str | None], file: ConfigFile) -> dict[str, Setting]:
    """Return the settings that all commands share. An unset root is None: the library has a default of its own."""
    found = {}
    for name, (default, _) in GENERAL.items():
        env = f"MNEMOS_{name.upper()}"
        if given.get(name):
            found[name] = Setting(name, given[name], "option")
        elif value := os.environ.get(env):
            found[name] = Setting(name, value, f"environment {env}")
        elif value := file.general.get(name):
            folder = name == "root" and not is_url(value)
            found[name] = Setting(name, str(file.resolve(Path(value))) if folder else value, file.source)
        else:
            found[name] = Setting(name, default, DEFAULT)
    return found


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str, hint: str = "") -> None:
    """Raise InvalidInput for the first name that is no setting, with the nearest ones."""
    known = list(known)
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=3)
        advice = f"Did you mean {', '.join(near)}?" if near else f"Use {', '.join(known)}."
        if name.lower().endswith("key") and "tls_key" not in near:
            advice = f"Set keys in the environment: {', '.join(SECRETS)}, or NAME_FILE to name a file with the key."
        raise InvalidInput(f"unknown setting {name!r} {where}. {advice}{hint}")
