"""Payloads that are not text, one file a cube, in a folder, by default beside the space. One without a cube is never read."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from mnemos.errors import InvalidInput, StoreCorrupt
from mnemos.store.causes import of_system

_ID = re.compile(r"[a-z2-7]{16}")  # what `new_id` makes; other ids never become names of files
END = ".safetensors"
ABANDONED = 3_600  # seconds after which a file without a cube belongs to no running write


class Blobs(Protocol):
    """The payloads of a space, by the id of their cube. A payload that has its name is whole."""

    def local(self, cube_id: str) -> AbstractContextManager[Path]:
        """Give a payload as a file that may be read in the block. Raises StoreCorrupt if there is none, StoreError."""

    def write(self, cube_id: str, data: bytes) -> int:
        """Write a payload and return its size; after a crash it exists whole or not at all. Raises StoreError."""

    def drop(self, ids: Iterable[str]) -> None:
        """Remove the payloads of these cubes; those without one are skipped. Raises StoreError if one may remain."""

    def ids(self) -> set[str]:
        """Return the ids of the cubes that have a payload."""

    @property
    def nbytes(self) -> int:
        """Bytes of all payloads."""

    def sweep(self, known: set[str]) -> int:
        """Remove payloads that belong to none of the `known` cubes, which a crash left behind; return how many.

        Those younger than an hour are left alone: another process may be about to write the row of their cube.
        """

    def remove(self) -> None:
        """Remove all payloads."""


def file_name(cube_id: str) -> str:
    """Return the name of the payload of a cube. Raises InvalidInput for an id that is no safe file name."""
    if not _ID.fullmatch(cube_id):
        raise InvalidInput(f"cube {cube_id!r} cannot have a payload: its id must be one that `new_id` makes.")
    return f"{cube_id}{END}"


def missing(cube_id: str, where: object) -> StoreCorrupt:
    """Return the error about a payload that is not there."""
    return StoreCorrupt(
        f"the payload of cube {cube_id} is missing: there is no {where}. Was it removed, or is this another folder or bucket "
        "than the one it was written to? Keys and values are computed again when they are needed."
    )


class FileBlobs:
    """Implements `Blobs` with one file each in `folder`, which is made when the first is written.

    A file is whole when it has its name: it is written under another one, synced, and then renamed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, cube_id: str) -> Path:
        """Return where the file of a cube is, or would be. Raises InvalidInput for an id that is no safe file name."""
        return self.folder / file_name(cube_id)

    @contextmanager
    def local(self, cube_id: str) -> Iterator[Path]:
        """Give the file itself."""
        if not (path := self.path(cube_id)).exists():
            raise missing(cube_id, path)
        yield path

    def write(self, cube_id: str, data: bytes) -> int:
        """Write a payload and return its size; after a crash it exists whole or not at all. Raises StoreError."""
        path = self.path(cube_id)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise of_system(error, path) from error
        return len(data)

    def drop(self, ids: Iterable[str]) -> None:
        """Overwrite the files of these cubes with zeros and remove them; those without one are skipped."""
        for cube_id in ids:
            if _ID.fullmatch(cube_id) and (path := self.path(cube_id)).exists():
                shred(path)

    def ids(self) -> set[str]:
        """Return the ids of the cubes that have a file."""
        return {path.name.removesuffix(END) for path in self.folder.glob(f"*{END}")}

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.glob("*"))

    def sweep(self, known: set[str]) -> int:
        """Remove files that belong to none of the `known` cubes, which a crash left behind; return how many.

        Files younger than an hour are left alone: another process may be about to write the row of their cube.
        """
        orphans = [path for path in self.folder.glob("*") if path.name.removesuffix(END) not in known and _is_old(path)]
        for path in orphans:
            shred(path)
        return len(orphans)

    def remove(self) -> None:
        """Remove all files and the folder."""
        for path in self.folder.glob("*"):
            shred(path)
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_old(path: Path) -> bool:
    """Tell whether nobody has written to a file for an hour. One that is gone is not."""
    try:
        return time.time() - path.stat().st_mtime > ABANDONED
    except FileNotFoundError:
        return False


def shred(path: Path) -> None:
    """Overwrite a file with zeros and remove it."""
    if path.is_symlink():
        path.unlink()
        return
    with path.open("r+b") as file:
        for _ in range(0, path.stat().st_size, 1 << 20):
            file.write(bytes(1 << 20))
        os.fsync(file.fileno())
    path.unlink(missing_ok=True)
