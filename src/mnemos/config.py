"""What the commands are told: by options, the environment, one TOML file, or not at all, in this order.

Programs give `Mnemos` its arguments themselves: the file is read for commands and the server only, never by the library.
Secrets stand in no file of settings: `secret` reads them from the environment, or from a file that it names.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput

NAME = "mnemos.toml"
DEFAULT = "default"
SERVE = "serve"  # the table of the server's settings; `mnemos.serve.config` knows them
GENERAL: Mapping[str, tuple[str | None, str]] = {
    "root": (None, "Folder that holds the spaces."),
    "space": ("default", "Whose memory the commands work on."),
    "embedder": ("bundled", "bundled, none (words only), hashing, st:MODEL or openai:MODEL@URL."),
    "reasoner": ("rules", "rules, or openai:MODEL@URL: who extracts and sums up."),
}
SECRETS: Mapping[str, str] = {
    "MNEMOS_UPSTREAM_KEY": "The key of the API behind the proxy.",
    "MNEMOS_EMBED_KEY": "The key of the embedder openai:MODEL@URL.",
    "OPENAI_API_KEY": "The key of the reasoner openai:MODEL@URL, and of such an embedder without one of its own.",
}


@dataclass(frozen=True)
class Setting:
    """One value in force. `source` is "option", "environment NAME", "file PATH" or "default"."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True)
class ConfigFile:
    """The file of settings; without a path there is none."""

    path: Path | None = None
    general: Mapping[str, Any] = field(default_factory=dict)
    serve: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What a value of this file says where it comes from."""
        return f"file {self.path}"

    def near(self, path: Path) -> Path:
        """Return a path that the file gives: one that is not absolute starts at the file's folder."""
        return (self.path.parent if self.path else Path()) / path.expanduser()


def usual_path() -> Path:
    """Return where the file is looked for when nobody names one: the user's folder of settings."""
    from platformdirs import user_config_path

    return user_config_path("mnemos", appauthor=False) / NAME


def read_file(given: Path | None = None) -> ConfigFile:
    """Return the file that an option or $MNEMOS_CONFIG names, or the usual one if it is there.

    The current folder is never looked at: it may be anybody's. Raises InvalidInput for a file that is named and not
    there, that cannot be read, that is no TOML, or that says what no setting is called.
    """
    named = given or (Path(env) if (env := os.environ.get("MNEMOS_CONFIG")) else None)
    path = (named or usual_path()).expanduser().absolute()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if named is None:
            return ConfigFile()
        whose = "--config" if given else "MNEMOS_CONFIG"
        raise InvalidInput(
            f"there is no file {path}, which {whose} names. `mnemos config --init` writes one."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = error if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise InvalidInput(f"{path} is no TOML: {why}.") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {path} ({error.strerror}). Check its permissions.") from error
    serve = data.pop(SERVE, {})
    if not isinstance(serve, dict):
        raise InvalidInput(f"{path}: {SERVE} is a table: write [{SERVE}] and the settings of the server below it.")
    refuse_unknown(data, GENERAL, f"in {path}", f" The settings of the server stand in [{SERVE}].")
    for name, value in data.items():
        if not isinstance(value, str):
            raise InvalidInput(f'{path}: {name} is to be a text, such as {name} = "…", not {value!r}.')
    return ConfigFile(path, data, serve)


def general(given: Mapping[str, str | None], file: ConfigFile) -> dict[str, Setting]:
    """Return the settings that all commands share. The value of an unset root is None: the library knows its own."""
    found = {}
    for name, (default, _) in GENERAL.items():
        env = f"MNEMOS_{name.upper()}"
        if given.get(name):
            found[name] = Setting(name, given[name], "option")
        elif value := os.environ.get(env):
            found[name] = Setting(name, value, f"environment {env}")
        elif value := file.general.get(name):
            found[name] = Setting(name, str(file.near(Path(value))) if name == "root" else value, file.source)
        else:
            found[name] = Setting(name, default, DEFAULT)
    return found


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str, hint: str = "") -> None:
    """Raise InvalidInput for the first name that no setting has; the message names the near ones."""
    known = list(known)
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=3)
        told = f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(known)}."
        if name.lower().endswith("key") and "tls_key" not in near:
            told = f"Keys stand in the environment only: {', '.join(SECRETS)}, or in a file that NAME_FILE names."
        raise InvalidInput(f"unknown setting {name!r} {where}. {told}{hint}")


def secret(*names: str) -> str | None:
    """Return the first of these secrets that is set: the value of $NAME, or what the file at $NAME_FILE holds.

    Raises InvalidInput, without the secret, when both are set or the file cannot be read or is empty.
    """
    return next((value for name in names if (value := _read_secret(name))), None)


def _read_secret(name: str) -> str | None:
    value, path = os.environ.get(name, "").strip(), os.environ.get(f"{name}_FILE")
    if not path:
        return value or None
    if value:
        raise InvalidInput(f"{name} and {name}_FILE are both set. Keep one of them.")
    try:
        value = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidInput(f"{name}_FILE names {path}, which cannot be read ({why}).") from None
    if not value:
        raise InvalidInput(f"{name}_FILE names {path}, which is empty.")
    return value


def secret_source(name: str) -> str | None:
    """Tell where a secret is set, or None. Raises InvalidInput as `secret` does."""
    if _read_secret(name) is None:
        return None
    return f"environment {name}" + ("_FILE" if os.environ.get(f"{name}_FILE") else "")
