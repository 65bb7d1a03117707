"""Our own archive: a zip with a manifest and one line of JSON a cube. Nothing is lost on the way out and in."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mnemos.errors import InvalidInput, StoreError
from mnemos.transfer.source import decode, open_zip, parse, parse_lines, read_member

if TYPE_CHECKING:
    from mnemos.space import Space

FORMAT, VERSION = "mnemos-archive", 1
MANIFEST, CUBES = "MANIFEST.json", "cubes.jsonl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same cubes give the same bytes
Progress = Callable[[int], None]


def export_space(space: Space, path: Path, *, progress: Progress | None = None) -> int:
    """Write every cube of a space with all its versions; return how many cubes.

    The file appears whole, or not at all, and only its owner may read it. Raises StoreError when it cannot be written.
    """
    digest, count = hashlib.sha256(), 0
    with _whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_member(CUBES), "w", force_zip64=True) as lines:
            for record in space.dump():
                line = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
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


def export_jsonl(space: Space, path: Path, *, progress: Progress | None = None) -> int:
    """Write the current version of every cube, one JSON object a line; return how many."""
    count = 0
    with _whole(path) as file:
        for record in space.dump():
            file.write((json.dumps(record["cube"], ensure_ascii=False) + "\n").encode())
            count += 1
            if progress:
                progress(1)
    return count


def is_archive(path: Path) -> bool:
    """Tell whether a file is a zip with our manifest's name in it."""
    return zipfile.is_zipfile(path) and MANIFEST in zipfile.ZipFile(path).namelist()


def read_archive(path: Path) -> list[dict[str, Any]]:
    """Return what `Space.restore` takes. Raises InvalidInput for a damaged, foreign or newer archive."""
    with open_zip(path) as archive:
        names = set(archive.namelist())
        if not {MANIFEST, CUBES} <= names:
            raise InvalidInput(f"{path} is not an archive of Mnemos: {MANIFEST} or {CUBES} is missing.")
        manifest = parse(decode(read_member(archive, MANIFEST, str(path)), MANIFEST), MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise InvalidInput(f"{path} is not an archive of Mnemos: its manifest says something else.")
        if not isinstance(manifest.get("version"), int) or manifest["version"] > VERSION:
            raise InvalidInput(
                f"{path} is an archive of version {manifest.get('version')}, this Mnemos knows up to {VERSION}. "
                "Upgrade Mnemos (pip install -U mnemos). Nothing was imported."
            )
        data = read_member(archive, CUBES, str(path))
    if hashlib.sha256(data).hexdigest() != (manifest.get("sha256") or {}).get(CUBES):
        raise InvalidInput(
            f"{path}: the checksum of {CUBES} does not match. It was changed or damaged. Nothing was imported."
        )
    return [record for _, record in parse_lines(decode(data, CUBES), CUBES)]


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` when all of it is on the disk."""
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        _drop(part)
        raise StoreError(
            f"cannot write {path} ({error.strerror}). Free some space, or choose another place."
        ) from error
    except BaseException:
        _drop(part)
        raise


def _drop(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)
