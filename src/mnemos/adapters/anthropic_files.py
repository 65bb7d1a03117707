"""Files of the memory tool: their paths, how cubes store them, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput

ROOT = "/memories"
MAX_LINES = 999_999
MAX_PATH = 1_000


class ToolError(InvalidInput):
    """A command failed. The message is for the model."""


def checked(path: str) -> str:
    """Return a normalised path below /memories, without empty parts or a trailing slash. Raises ToolError otherwise."""
    plain = path
    while (decoded := unquote(plain)) != plain:  # it may be encoded several times
        plain = decoded
    if path != ROOT and not path.startswith(ROOT + "/"):
        raise ToolError(f"Path must start with {ROOT}, got: {path:.200}")
    if ".." in plain.replace("\\", "/").split("/"):
        raise ToolError(f"Path {path:.200} would escape {ROOT} directory")
    if len(path) > MAX_PATH or any(not c.isprintable() for c in path):  # lone surrogates are not printable
        raise ToolError(f"Path {path[:200]!a} is longer than {MAX_PATH:,} characters or not printable")
    return "/".join(["", *(part for part in path.split("/") if part not in ("", "."))])


def hidden(path: str) -> bool:
    """Tell whether listings leave out this path."""
    return any(part.startswith(".") or part == "node_modules" for part in path.split("/"))


def stored(name: str, text: str) -> tuple[str, dict[str, Any]]:
    """Return text and metadata of a file's cube. The text of a blank file is its name, since cubes cannot be blank."""
    return (text, {"path": name}) if text.strip() else (name, {"path": name, "content": text})


def content(cube: MemCube) -> str:
    """Return the content of a cube's file."""
    return str(cube.metadata.get("content", cube.text))


def numbered(path: str, text: str, view_range: Sequence[int] | None) -> str:
    """Return numbered lines, all or those of a range (from 1, both ends included, -1 is the last). Raises ToolError."""
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise ToolError(f"File {path} exceeds maximum line limit of 999,999 lines.")
    first, last = 1, len(lines)
    if view_range is not None:
        if not isinstance(view_range, list | tuple) or [type(n) for n in view_range] != [int, int]:
            raise ToolError(f"Invalid `view_range` parameter: {view_range!r:.80}. It should be two line numbers.")
        first, last = max(view_range[0], 1), last if view_range[1] == -1 else view_range[1]
    return "\n".join(f"{n:>6}\t{line}" for n, line in enumerate(lines[first - 1 : max(last, 0)], first))


def listing(name: str, files: Mapping[str, MemCube]) -> list[str]:
    """Return a line (size, tab, path) for a directory and each entry in it, two levels deep."""
    sizes = {name: 0}
    folders = set()
    for file, cube in files.items():
        size = len(content(cube).encode())
        sizes[name] += size
        parts = file[len(name) + 1 :].split("/")
        for depth in range(1, min(len(parts), 2) + 1):
            shown = "/".join([name, *parts[:depth]])
            sizes[shown] = sizes.get(shown, 0) + size
            if depth < len(parts):
                folders.add(shown)
    ordered = sorted(sizes.items(), key=lambda item: item[0].split("/"))
    return [f"{_size(size)}\t{shown}{'/' * (shown in folders)}" for shown, size in ordered]


def _size(size: float) -> str:
    for unit in "BKM":
        if size < 1024:
            return f"{size:.0f}{unit}" if size == int(size) else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}G"
