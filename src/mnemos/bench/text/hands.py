"""Material that people wrote for a benchmark, one file of JSON lines for each of them ("hand")."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.space import Space

Item = Mapping[str, Any]
Check = Callable[[Item], bool]  # tells whether an item has what the benchmark needs; may raise KeyError and TypeError
DATA = "data"


@dataclass(frozen=True)
class Options:
    """The material, and the searches."""

    data: str = ""  # file or folder of JSON lines instead of those of the package, one file a hand
    embedder: str = "bundled"  # what embeds the texts
    k: int = 10  # hits of a search


def items(name: str, data: str, file: str, check: Check) -> dict[str, list[Item]]:
    """Return the items for a benchmark, by hand: those of `data`, a file or a folder, or of the package.

    Raises InvalidInput as `read` does.
    """
    return read(Path(data), file, check) if data else packaged(name, check)


def packaged(name: str, check: Check) -> dict[str, list[Item]]:
    """Return the items of the package for a benchmark, by hand."""
    files = sorted(resources.files("mnemos.bench.text").joinpath(DATA, name).iterdir(), key=lambda f: f.name)
    return {f.name.removesuffix(".jsonl"): _items(f.read_text(encoding="utf-8"), f.name, check) for f in files}


def read(where: Path, file: str, check: Check) -> dict[str, list[Item]]:
    """Return the items of a file, or of every `file` or else every `.jsonl` in a folder, by hand. Raises InvalidInput."""
    if not where.exists():
        raise InvalidInput(f"there is no {where}. Give a .jsonl file, or a folder of them.")
    files = [where] if where.is_file() else sorted(where.rglob(file)) or sorted(where.glob("*.jsonl"))
    if not files:
        raise InvalidInput(f"{where} has no .jsonl file. Give a .jsonl file, or a folder of them.")
    return {
        f.parent.name if f.name == file else f.stem: _items(f.read_text(encoding="utf-8"), str(f), check) for f in files
    }


def _items(text: str, where: str, check: Check) -> list[Item]:
    items: list[Item] = []
    for i, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            if not check(item):
                raise ValueError("a value is unknown")
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{where}, line {i}: this is no item of the benchmark ({error!r}).") from error
        items.append(item)
    return items


def told_to(space: Space, told: Sequence[Mapping[str, Any]], now: list[datetime], **options: Any) -> list[MemCube]:
    """Add texts to a space at the times at which they were told, and set the clock to the day after; return the cubes."""
    times = [_time(t["at"]) if t.get("at") else None for t in told]
    now[0] = max((t for t in times if t), default=now[0])
    cubes = []
    for i, (text, at) in enumerate(zip(told, times, strict=True)):
        given = {name: text[name] for name in ("speaker", "role", "session", "source") if name in text}
        cubes.append(space.add(text["text"], at=at or now[0] + timedelta(minutes=i), **given, **options))
    now[0] += timedelta(days=1)
    return cubes


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
