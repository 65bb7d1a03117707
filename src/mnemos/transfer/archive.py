"""Archive of a space: a zip with a manifest, one line of JSON a cube, and its weights. Export and import lose nothing."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from mnemos.distribution import upgrade_command
from mnemos.errors import InvalidInput
from mnemos.store.base import Store
from mnemos.text.encode.archived import check_shape
from mnemos.transfer.base import Exported, Progress, Stored
from mnemos.transfer.source import decode, dicts, open_zip, parse, parse_lines, read_member
from mnemos.transfer.weights import member, payloads
from mnemos.transfer.write import new_file

FORMAT, VERSION = "mnemos-archive", 1
MANIFEST, CUBES, WEIGHTS = "MANIFEST.json", "cubes.jsonl", "weights.jsonl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same cubes give the same bytes


def export_space(space: Exported, path: Path, *, overwrite: bool = False, progress: Progress | None = None) -> int:
    """Write every text of a space with all its versions, and its weights; return the number of cubes.

    Keys and values are left out: they are computed again. A served space has no weights to give.
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
        sums = {CUBES: digest.hexdigest()}
        weights = _write_weights(archive, space.store) if isinstance(space, Stored) else b""
        if weights:
            archive.writestr(_member(WEIGHTS), weights)
            sums[WEIGHTS] = hashlib.sha256(weights).hexdigest()
        manifest = {"format": FORMAT, "version": VERSION, "space": space.name, "cubes": count, "sha256": sums}
        count += weights.count(b"\n")
        archive.writestr(_member(MANIFEST), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return count


def _write_weights(archive: zipfile.ZipFile, store: Store) -> bytes:
    """Write the payloads of a space's weights; return a line of JSON for each."""
    lines = b""
    for cube, data in payloads(store):
        archive.writestr(_member(member(cube.id)), data)
        lines += _line(cube.to_dict(), (",", ":"))
    return lines


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
    _check(path, CUBES, data, manifest)
    records = []
    for where, record in parse_lines(decode(data, CUBES), CUBES):
        check_shape(record, where)
        records.append(record)
    ids = Counter(record["cube"]["id"] for record in records)
    if twice := [name for name, count in ids.items() if count > 1]:
        raise InvalidInput(f"{path} contains the cube {twice[0]!r} twice. Nothing was imported.")
    return records


def read_weights(path: Path) -> list[dict[str, Any]]:
    """Return the cubes of weights in an archive that `read_archive` has read; their payloads are read one at a time.

    Raises InvalidInput where they were changed.
    """
    with open_zip(path) as archive:
        if WEIGHTS not in archive.namelist():
            return []
        manifest = parse(decode(read_member(archive, MANIFEST, str(path)), MANIFEST), MANIFEST)
        data = read_member(archive, WEIGHTS, str(path))
    _check(path, WEIGHTS, data, manifest)
    return [row for _, row in parse_lines(decode(data, WEIGHTS), WEIGHTS) if isinstance(row, dict)]


def _check(path: Path, name: str, data: bytes, manifest: Any) -> None:
    if hashlib.sha256(data).hexdigest() != dicts(manifest, "sha256").get(name):
        raise InvalidInput(
            f"{path}: the checksum of {name} does not match: it was changed or damaged. Nothing was imported."
        )


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info
