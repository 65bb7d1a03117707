"""Payloads in a bucket or on a network, through fsspec: one object a cube (extra `buckets`)."""

from __future__ import annotations

import importlib
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError, StoreError
from mnemos.store.blobs import ABANDONED, END, Blobs, FileBlobs, file_name, missing
from mnemos.store.causes import of_system
from mnemos.store.names import file_stem

KV = ".kv"  # the folder of the payloads of a space
PART = ".part"  # what is being written; a listing does not show it as a payload


def open_blobs(place: str, space: str) -> Blobs:
    """Return the payloads of a space in a folder, or below a URL that fsspec opens: s3://BUCKET/PREFIX, memory://..., ...

    Raises InvalidInput for a URL of no known kind, and MnemosError where a package is missing.
    """
    name = file_stem(space) + KV
    if (folder := _folder(place)) is not None:
        return FileBlobs(folder / name)
    try:
        core = importlib.import_module("fsspec.core")
    except ModuleNotFoundError as error:
        raise MnemosError(f"payloads at {place} need the package fsspec: {install_command('buckets')}.") from error
    try:
        system, path = core.url_to_fs(place)
    except ImportError as error:  # of the driver
        raise MnemosError(f"payloads at {place} need another package: {error}") from error
    except ValueError as error:
        raise InvalidInput(
            f"{place} is no place for payloads ({error}): give a folder, or a URL such as s3://BUCKET/PREFIX."
        ) from error
    return BucketBlobs(system, f"{path.rstrip('/')}/{name}", f"{place.rstrip('/')}/{name}")


def make_folder(place: str) -> None:
    """Make the folder of all payloads, where the place is one. Raises StoreError."""
    if (folder := _folder(place)) is not None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise of_system(error, folder) from error


def _folder(place: str) -> Path | None:
    return (
        None if "://" in place and not place.startswith("file://") else Path(place.removeprefix("file://")).expanduser()
    )


class BucketBlobs:
    """Implements `Blobs` on a file system of fsspec. `where` is the folder as a person writes it.

    An object is uploaded under another name and then moved, since not every file system writes whole objects or none: a
    reader sees all of it or nothing. Erasing removes objects; a bucket that keeps versions, and backups of it, keep theirs:
    turn versions off there.
    """

    def __init__(self, system: Any, folder: str, where: str) -> None:
        self._system, self._folder, self.where = system, folder, where

    def _path(self, cube_id: str) -> str:
        return f"{self._folder}/{file_name(cube_id)}"

    @contextmanager
    def local(self, cube_id: str) -> Iterator[Path]:
        """Download a payload into a temporary file, which is removed after the block."""
        with tempfile.TemporaryDirectory(prefix="mnemos-payload-") as folder:
            file = Path(folder) / file_name(cube_id)
            with self._reaching("read"):
                try:
                    self._system.get_file(self._path(cube_id), str(file))
                except FileNotFoundError as error:
                    raise missing(cube_id, f"{self.where}/{file.name}") from error
            yield file

    def write(self, cube_id: str, data: bytes) -> int:
        """Upload a payload and return its size; see `Blobs.write`."""
        path = self._path(cube_id)
        part = f"{path}.{uuid.uuid4().hex}{PART}"
        with self._reaching("written"):
            try:
                self._system.makedirs(self._folder, exist_ok=True)
                self._system.pipe_file(part, data)
                self._system.mv(part, path)
            except BaseException:
                with suppress(Exception):
                    self._system.rm_file(part)
                raise
        return len(data)

    def drop(self, ids: Iterable[str]) -> None:
        """Remove the payloads of these cubes; see `Blobs.drop`."""
        for cube_id in ids:
            with suppress(InvalidInput):  # an id without a payload
                self._rm(self._path(cube_id))

    def _rm(self, path: str) -> None:
        with self._reaching("removed"), suppress(FileNotFoundError):
            self._system.rm_file(path)

    def _files(self) -> list[dict[str, Any]]:
        with self._reaching("listed"):
            self._system.invalidate_cache(self._folder)
            try:
                return [found for found in self._system.ls(self._folder, detail=True) if found["type"] == "file"]
            except FileNotFoundError:
                return []

    def ids(self) -> set[str]:
        """Return the ids of the cubes that have a payload. One listing."""
        names = (found["name"].rpartition("/")[2] for found in self._files())
        return {name.removesuffix(END) for name in names if name.endswith(END)}

    @property
    def nbytes(self) -> int:
        """Bytes of all payloads. One listing."""
        return sum(int(found["size"] or 0) for found in self._files())

    def sweep(self, known: set[str]) -> int:
        """Remove old payloads that belong to no cube; see `Blobs.sweep`. One listing."""
        orphans = [f["name"] for f in self._files() if f["name"].rpartition("/")[2].removesuffix(END) not in known]
        old = [path for path in orphans if self._is_old(path)]
        for path in old:
            self._rm(path)
        return len(old)

    def _is_old(self, path: str) -> bool:
        """Tell whether an object was written over an hour ago; one whose time the place does not tell is not."""
        with self._reaching("read"):
            try:
                return bool(time.time() - self._system.modified(path).timestamp() > ABANDONED)
            except (FileNotFoundError, NotImplementedError):
                return False

    def remove(self) -> None:
        """Remove all payloads and the folder, where there are folders."""
        for found in self._files():
            self._rm(found["name"])
        with suppress(Exception):  # a bucket has no folders
            self._system.rmdir(self._folder)

    @contextmanager
    def _reaching(self, done: str) -> Iterator[None]:
        """Turn errors of the place, which each driver names in its own way, into StoreError."""
        try:
            yield
        except MnemosError:
            raise
        except Exception as error:
            raise StoreError(
                f"payloads at {self.where} cannot be {done} ({type(error).__name__}: {error}). Check the address, the network "
                "and the rights of this machine; nothing of this write was stored."
            ) from error
