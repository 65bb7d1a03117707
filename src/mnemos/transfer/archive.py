"""Archive of a space: a zip with a manifest and one line of JSON a cube. Export and import lose nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from mnemos.cube import Form, MemCube, State
from mnemos.distribution import upgrade_command
from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import clean
from mnemos.transfer.base import Exported, Progress
from mnemos.transfer.source import decode, dicts, open_zip, parse, parse_lines, read_member
from mnemos.transfer.write import new_file

FORMAT, VERSION = "mnemos-archive", 1
MANIFEST, CUBES = "MANIFEST.json", "cubes.jsonl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same cubes give the same bytes


def export_space(space: Exported, path: Path, *, overwrite: bool = False, progress: Progress | None = None) -> int:
    """Write every cube of a space with all its versions; return the number of cubes.

    The file appears complete or not at all, and only its owner can read it. Raises StoreError when it cannot be written,
    and InvalidInput when it exists and `overwrite` is not set, or is a link.
    """
    digest, count = hashlib.sha256(), 0
    with new_file(path, overwrite=overwrite) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_member(CUBES), "w", force_zip64=True) as lines:
            for record in space.dump():
                line = _line(record, (",", ":"))
                digest.update(line)
                lines.write(line)
                count += 1
                if progress:
                    progress(1)
        manifest = {
            "format": FORMAT, "version": VERSION, "space": space.name, "cubes": count,
            "sha256": {CUBES: digest.hexdigest()},
        }  # fmt: skip
        archive.writestr(_member(MANIFEST), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return count


def export_jsonl(space: Exported, path: Path, *, overwrite: bool = False, progress: Progress | None = None) -> int:
    """Write the current version of every cube, one JSON object a line; return the number of cubes.

    Raises as `export_space` does.
    """
    count = 0
    with new_file(path, overwrite=overwrite) as file:
        for record in space.dump():
            file.write(_line(record["cube"], (", ", ": ")))
            count += 1
            if progress:
                progress(1)
    return count


def _line(value: Any, separators: tuple[str, str]) -> bytes:
    try:
        return (json.dumps(value, ensure_ascii=False, separators=separators) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair in the metadata: only an escape can carry it
        return (json.dumps(value, separators=separators) + "\n").encode()


def is_archive(path: Path) -> bool:
    """Tell whether a file is a zip that contains our manifest."""
    if not zipfile.is_zipfile(path):
        return False
    with open_zip(path) as archive:
        return MANIFEST in archive.namelist()


def read_archive(path: Path) -> list[dict[str, Any]]:
    """Return what `Space.restore` takes. Raises InvalidInput for a damaged, foreign or newer archive."""
    with open_zip(path) as archive:
        names = set(archive.namelist())
        if not {MANIFEST, CUBES} <= names:
            raise InvalidInput(f"{path} is not an archive of Mnemos: {MANIFEST} or {CUBES} is missing.")
        manifest = parse(decode(read_member(archive, MANIFEST, str(path)), MANIFEST), MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise InvalidInput(f"{path} is not an archive of Mnemos: its manifest has another format.")
        if not isinstance(manifest.get("version"), int) or manifest["version"] > VERSION:
            raise InvalidInput(
                f"{path} is an archive of version {manifest.get('version')}, this Mnemos knows up to {VERSION}. "
                f"Upgrade Mnemos ({upgrade_command()}). Nothing was imported."
            )
        data = read_member(archive, CUBES, str(path))
    if hashlib.sha256(data).hexdigest() != dicts(manifest, "sha256").get(CUBES):
        raise InvalidInput(
            f"{path}: the checksum of {CUBES} does not match: it was changed or damaged. Nothing was imported."
        )
    records = []
    for where, record in parse_lines(decode(data, CUBES), CUBES):
        _check(record, where)
        records.append(record)
    ids = Counter(record["cube"]["id"] for record in records)
    if twice := [name for name, count in ids.items() if count > 1]:
        raise InvalidInput(f"{path} contains the cube {twice[0]!r} twice. Nothing was imported.")
    return records


# Which JSON values fit a field of a cube, by the field's annotation. `_fits` handles "| None".
_SHAPES: dict[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str) and clean(v) == v,
    "datetime": lambda v: isinstance(v, str) and 2 <= datetime.fromisoformat(v).year <= 9998,
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**62,
    "float": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v),
    "bool": lambda v: isinstance(v, bool),
    "tuple[str, ...]": lambda v: isinstance(v, list) and all(isinstance(p, str) and clean(p) == p for p in v),
    "Mapping[str, Any]": lambda v: isinstance(v, Mapping) and bool(json.dumps(v, allow_nan=False)),
    "Form": lambda v: v in get_args(Form),
    "State": lambda v: v in get_args(State),
}


def _check(record: Any, where: str) -> None:
    """Raise InvalidInput unless a record has the shape of a cube and its versions: a store does not check types."""
    if not isinstance(record, Mapping) or not isinstance(record.get("versions"), list):
        raise InvalidInput(f"{where}: not a cube with its versions. Nothing was imported.")
    for cube in (*record["versions"], record.get("cube")):
        if not isinstance(cube, Mapping) or not cube.get("id") or not str(cube.get("text") or "").strip():
            raise InvalidInput(f"{where}: not a cube with an id and a text. Nothing was imported.")
        for field in dataclasses.fields(MemCube):
            if field.name in cube and not _fits(cube[field.name], str(field.type)):
                raise InvalidInput(
                    f"{where}: {field.name} is {cube[field.name]!r:.60}, expected {field.type}. Nothing was imported."
                )


def _fits(value: Any, annotation: str) -> bool:
    if annotation.endswith(" | None"):
        return value is None or _fits(value, annotation.removesuffix(" | None"))
    try:
        return annotation not in _SHAPES or _SHAPES[annotation](value)
    except (ValueError, OverflowError, TypeError, RecursionError):  # no time, no finite number, nested too deeply
        return False


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info
