"""Sets of backups: every space of a root at one time, in a folder named after that time."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mnemos.errors import InvalidInput, OutOfFiles, StoreError, StoreFull
from mnemos.store.causes import of_system
from mnemos.store.names import SUFFIX, file_stem, free, stamp
from mnemos.store.open import Root

MANIFEST = "mnemos-backup.json"
ABANDONED = 86_400  # seconds after which a set that nobody finished is removed
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_PART = re.compile(r"\.\d{8}T\d{6}Z(-\d+)?\.part")


@dataclass
class BackupSet:
    """The backups of one run: where each space is, what could not be read, and which older sets were removed."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)  # by space
    problems: list[str] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)


def save_all(root: Root, folder: Path, now: datetime, keep: int | None) -> BackupSet:
    """Back up every space of a root into a new folder below `folder`; with `keep` remove older sets but the newest `keep`.

    The set takes its name when all files are written and checked. A space that cannot be read is reported and does not keep
    the others from being saved; then nothing older is removed. Only sets that have a manifest of ours are removed, and
    of them only the files that it names. Raises InvalidInput when `folder` is none, StoreError when it cannot be written.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder: backups of all spaces go into a dated folder inside it.")
    target = free(folder / stamp(now))
    part = folder / f".{target.name}.part"
    saved = BackupSet(target)
    try:
        _clear_abandoned(folder)
        part.mkdir(mode=0o700)
        names = _copy_all(root, part, saved)
        _write_manifest(part, now, names, saved.problems)
        part.rename(target)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise of_system(error, target) from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    saved.files = {space: target / name for space, name in names.items()}
    if keep is not None and not saved.problems:
        saved.removed = _prune(folder, keep)
    return saved


def files_in(folder: Path) -> dict[str, Path]:
    """Return the backups of a set by space; of the newest complete set, if the folder holds sets.

    Raises InvalidInput when there is none.
    """
    if (folder / MANIFEST).is_file():
        names = _manifest(folder)["spaces"]
        return {space: folder / Path(name).name for space, name in names.items()}
    complete = [one for one in _sets(folder) if not _manifest(one)["problems"]]
    if not complete:
        raise InvalidInput(f"there is no set of backups in {folder}: give a folder that `mnemos backup --all` wrote.")
    return files_in(complete[-1])


def _copy_all(root: Root, part: Path, saved: BackupSet) -> dict[str, str]:
    """Back up each space into a folder; return the names of the files by space."""
    names: dict[str, str] = {}
    for space in root.inventory():
        if space.name is None:
            saved.problems.append(space.problem)
            continue
        name = file_stem(space.name) + SUFFIX
        try:
            root.backup(space.name, part / name)
            names[space.name] = name
        except (StoreFull, OutOfFiles):  # of the backup's disk, and of no space
            raise
        except StoreError as error:
            saved.problems.append(f"the space {space.name!r} was not saved: {error}")
    return names


def _write_manifest(part: Path, now: datetime, names: Mapping[str, str], problems: list[str]) -> None:
    data = {"made_by": "mnemos", "made": now.isoformat(), "spaces": dict(names), "problems": problems}
    with (part / MANIFEST).open("x", encoding="utf-8") as file:
        json.dump(data, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())


def _manifest(folder: Path) -> dict[str, dict[str, str]]:
    """Return what the manifest of a set says. Raises InvalidInput when it is not ours."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if data["made_by"] == "mnemos" and isinstance(data["spaces"], dict) and isinstance(data["problems"], list):
            return data  # type: ignore[no-any-return]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InvalidInput(f"{folder / MANIFEST} is not the manifest of a set of backups.")


def _sets(folder: Path) -> list[Path]:
    """Return the sets in a folder that are ours, the oldest first."""
    found = []
    for one in sorted(folder.iterdir()):
        if _NAME.fullmatch(one.name) and one.is_dir() and not one.is_symlink():
            with suppress(InvalidInput):
                _manifest(one)
                found.append(one)
    return sorted(found, key=lambda p: (p.name[:16], int(p.name[17:] or 1)))


def _prune(folder: Path, keep: int) -> list[Path]:
    """Remove the sets before the newest `keep` complete ones; return those removed."""
    every = _sets(folder)
    complete = [one for one in every if not _manifest(one)["problems"]]
    if len(complete) <= keep:
        return []
    old = every[: every.index(complete[-keep])]
    for one in old:
        for name in (*_manifest(one)["spaces"].values(), MANIFEST):
            (one / Path(name).name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody has put other files there
            one.rmdir()
    return old


def _clear_abandoned(folder: Path) -> None:
    for one in folder.iterdir():
        if _PART.fullmatch(one.name) and time.time() - one.stat().st_mtime > ABANDONED:
            shutil.rmtree(one, ignore_errors=True)
