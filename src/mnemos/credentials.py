"""Secrets, read from the environment or from files that it names; no file of settings holds one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mnemos.errors import InvalidInput

SECRETS: Mapping[str, str] = {
    "MNEMOS_UPSTREAM_KEY": "The key of the API behind the proxy.",
    "MNEMOS_EMBED_KEY": "The key of the embedder openai:MODEL@URL.",
    "OPENAI_API_KEY": "The key of the reasoner openai:MODEL@URL, and of such an embedder if it has no key of its own.",
}


def secret(*names: str) -> str | None:
    """Return the first of these secrets that is set: the value of $NAME, or the content of the file at $NAME_FILE.

    Raises InvalidInput, without the secret, when both are set or the file cannot be read or is empty.
    """
    return next((value for name in names if (value := _read(name))), None)


def secret_source(name: str) -> str | None:
    """Return where a secret is set, or None. Raises InvalidInput as `secret` does."""
    if _read(name) is None:
        return None
    return f"environment {name}" + ("_FILE" if os.environ.get(f"{name}_FILE") else "")


def _read(name: str) -> str | None:
    value, path = os.environ.get(name, "").strip(), os.environ.get(f"{name}_FILE")
    if not path:
        return value or None
    if value:
        raise InvalidInput(f"{name} and {name}_FILE are both set. Keep only one of them.")
    try:
        value = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidInput(f"{name}_FILE names {path}, which cannot be read ({why}).") from None
    if not value:
        raise InvalidInput(f"{name}_FILE names {path}, which is empty.")
    return value
