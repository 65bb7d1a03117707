"""Archive of a space: a zip with a manifest and one line of JSON a cube. Export and import lose nothing."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from mnemos.distribution import upgrade_command
from mnemos.errors import InvalidInput
from mnemos.text.encode.archived import check_shape
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
        check_shape(record, where)
        records.append(record)
    ids = Counter(record["cube"]["id"] for record in records)
    if twice := [name for name, count in ids.items() if count > 1]:
        raise InvalidInput(f"{path} contains the cube {twice[0]!r} twice. Nothing was imported.")
    return records


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info
