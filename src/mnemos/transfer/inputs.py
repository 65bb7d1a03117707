"""The files of an import: one file, the members of a zip, or a folder; read without leaving it.

Links in a folder are not followed, and devices, pipes and members of a zip that name a place outside of it are refused.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

from mnemos.errors import InvalidInput
from mnemos.transfer.source import MAX_BYTES, Item, open_zip, read_member

MAX_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an import, not read yet."""

    name: str  # relative, with "/"
    read: Callable[[], bytes]
    changed: datetime | None = None
    path: Path | None = None  # where it is on the disk, if it is there by itself

    @property
    def suffix(self) -> str:
        """The end of its name, such as ".json"."""
        return PurePosixPath(self.name).suffix.lower()


class Archives:
    """Reads members of zips. The zip that was read last stays open: its directory is read once, not for each member."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._open: zipfile.ZipFile | None = None

    def read(self, path: Path, name: str) -> bytes:
        """Return a member, unpacked in RAM. Raises InvalidInput when it or the zip is damaged."""
        if self._open is None or path != self._path:
            self.close()
            self._path, self._open = path, open_zip(path)
        return read_member(self._open, name, str(path))

    def close(self) -> None:
        """Close the zip that is open, if one is."""
        if self._open is not None:
            self._open.close()
            self._open = None


def members(path: Path, archives: Archives) -> tuple[list[Member], list[Item]]:
    """Return the files at a path in the order of their names, and what was passed over, with the reason.

    `archives` reads those in zips, until it is closed. Raises InvalidInput for what does not exist or is neither a file nor
    a folder, and for a zip that is damaged or names places outside of it.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a name that is too long, or has a null byte
        raise InvalidInput(f"{path} does not exist. Give a file or a folder.") from error
    if stat.S_ISDIR(mode):
        return _in_folder(path, archives)
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"{path} is a device or a pipe, and no file. Give a file or a folder.")
    if zipfile.is_zipfile(path):
        return _in_zip(path, "", archives)
    return [_on_disk(path, path.name, follow=True)], []


def _in_folder(root: Path, archives: Archives) -> tuple[list[Member], list[Item]]:
    found: list[Member] = []
    passed: list[Item] = []
    for folder, names, files in os.walk(root, onerror=_raise):
        here = Path(folder)
        for name in [*names, *files]:
            relative = (here / name).relative_to(root).as_posix()
            if why := _why_not(here / name):
                passed.append(Item(relative, None, left_out=why))
        names[:] = sorted(n for n in names if not _why_not(here / n))
        for name in (f for f in files if not _why_not(here / f)):
            path, relative = here / name, (here / name).relative_to(root).as_posix()
            if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
                inner, left = _in_zip(path, relative + "/", archives)
                found, passed = found + inner, passed + left
            else:
                found.append(_on_disk(path, relative, follow=False))
        if len(found) > MAX_FILES:
            raise InvalidInput(f"{root} holds more than {MAX_FILES:,} files. Import its folders one by one.")
    return sorted(found, key=lambda m: m.name), passed


def _raise(error: OSError) -> None:
    raise InvalidInput(f"{error.filename} cannot be read ({error.strerror}). Nothing was imported.") from error


def _why_not(path: Path) -> str:
    """Return why a file or folder in a folder is passed over; "" for one that is read."""
    if path.name.startswith("."):
        return "hidden"
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if stat.S_ISLNK(mode):
        return "a link, which is not followed"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "a device or a pipe"


def _on_disk(path: Path, name: str, *, follow: bool) -> Member:
    try:
        changed = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    except (OSError, OverflowError, ValueError):  # a year out of range
        changed = None
    return Member(name, lambda: read_file(path, follow=follow), changed, path)


def read_file(path: Path, *, follow: bool) -> bytes:
    """Return a plain file's bytes. Raises InvalidInput when it is none, is too large or cannot be read.

    It may have been replaced by a link or a pipe since it was listed: it is examined after it was opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidInput(f"{path} is a device or a pipe, and no file.")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}). Nothing was imported.") from error
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{path} has more than {MAX_BYTES:,} bytes. Split it into parts.")
    return data


def _in_zip(path: Path, prefix: str, archives: Archives) -> tuple[list[Member], list[Item]]:
    found: list[Member] = []
    passed: list[Item] = []
    with open_zip(path) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_FILES:
            raise InvalidInput(f"{path} holds more than {MAX_FILES:,} files. Refused; nothing was imported.")
        for info in infos:
            if not info.filename:
                raise InvalidInput(f"{path} is damaged: a file in it has no name. Nothing was imported.")
            parts = info.filename.replace("\\", "/").split("/")
            if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0]:
                raise InvalidInput(
                    f"{path} names a file outside of it, {info.filename!r:.100}. Refused; nothing was imported."
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                raise InvalidInput(f"{path} holds a link, {info.filename!r:.100}. Refused; nothing was imported.")
            name = prefix + "/".join(parts)
            if info.is_dir() or not parts[-1]:
                continue
            if parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts):
                passed.append(Item(name, None, left_out="hidden"))
            else:
                found.append(Member(name, partial(archives.read, path, info.filename), _zip_time(info)))
    return sorted(found, key=lambda m: m.name), passed


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    try:
        return datetime(*info.date_time, tzinfo=UTC) if info.date_time > (1980, 1, 1, 0, 0, 0) else None
    except ValueError:
        return None
