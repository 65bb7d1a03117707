"""Names of spaces as names of files: any name is safe, and no two share a file on any file system."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

from mnemos.errors import InvalidInput

MAX_LENGTH = 1_000
SUFFIX = ".mnemos"  # of the file of a space, and of its backups
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}


def file_stem(space: str) -> str:
    """Return the name of a file for a space, without an ending.

    Short names of lower-case ASCII letters, digits, `_` and `-` keep their spelling; all others become
    a readable stem, a `.` and 128 bits of their hash, which no plain name contains.

    Raises InvalidInput for an empty name, a name above 1,000 characters, or one that is not text.
    """
    if not isinstance(space, str) or not space.strip():
        raise InvalidInput(f"a space needs a name, got {space!r}. Use for example the user's id.")
    if len(space) > MAX_LENGTH:
        raise InvalidInput(f"the space name has {len(space):,} characters, the limit is {MAX_LENGTH:,}.")
    try:
        encoded = space.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the space name {space!r} holds a lone surrogate. Use valid Unicode.") from error
    if _PLAIN.fullmatch(space) and space not in _RESERVED:
        return space
    stem = re.sub(r"[^a-z0-9]+", "-", space.lower())[:32].strip("-") or "space"
    return f"{stem}.{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"


def stamp(now: datetime) -> str:
    """Return a moment as names of backups have it: UTC, and in the order of time."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def free(path: Path) -> Path:
    """Return a path like this one at which there is nothing: with a number, where there is something."""
    n, found = 1, path
    while found.exists() or found.with_name(f".{found.name}.part").exists():
        n += 1
        end = SUFFIX if path.suffix == SUFFIX else ""
        found = path.with_name(f"{path.name.removesuffix(end)}-{n}{end}")
    return found
