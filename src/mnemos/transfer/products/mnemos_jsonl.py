"""What `mnemos export --format jsonl` writes: a cube a line. Ids, times and roles are kept; versions are not in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.source import Item, is_list_of
from mnemos.transfer.times import time_of

_KEPT = ("id", "session", "speaker", "role", "source", "kind", "metadata")


def is_jsonl(value: Any) -> bool:
    """Tell whether a JSON value is a list of cubes."""
    return is_list_of(value, "id", "text", "space", "learned", "version")


def jsonl(value: Any, where: str) -> Iterator[Item]:
    """Yield the text cubes; what Mnemos derived, such as summaries, is made again."""
    for number, cube in enumerate(value):
        place = f"{where}[{number}]"
        if not isinstance(cube, Mapping) or not cube.get("id") or not isinstance(cube.get("text"), str):
            yield Item(place, None, "not a cube with an id and a text")
        elif cube.get("parents") or cube.get("form", "text") != "text":
            yield Item(place, None, left_out="derived from others")
        else:
            kept = {name: cube[name] for name in _KEPT if cube.get(name) is not None}
            yield Item(place, {**kept, "content": cube["text"], "at": time_of({"at": cube.get("at")})})
