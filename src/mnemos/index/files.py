"""Files of an index in a folder: written beside the former ones, and valid from the moment their list is renamed.

`index.json` lists the files of the present generation with sizes and checksums, and has a checksum itself. A crash leaves
the former list with its files, or the new one with its own; what no list names is removed by the next save.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import IndexDamaged

LIST, PART, LOCK = "index.json", "index.json.part", "lock"
BLOCK = 1 << 20
GONE = b"\xff"  # what erased bytes become: as keys they are -1, which no vector has


class Saved(NamedTuple):
    """The list of an index's files."""

    kind: str
    generation: int
    files: dict[str, tuple[int, int]]  # by name: bytes and CRC-32
    about: dict[str, Any]  # what the index notes of itself


def read(folder: Path, kind: str) -> Saved:
    """Return the list of a folder whose files all have their sizes. Raises IndexDamaged."""
    path = folder / LIST
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        saved = Saved(body["kind"], body["generation"], {n: tuple(v) for n, v in body["files"].items()}, body["about"])
        whole = body["sum"] == _sum(saved)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IndexDamaged(f"{path} cannot be read ({error}): make the index again from its rows.") from error
    if not whole or saved.kind != kind:
        raise IndexDamaged(f"{path} is not that of a whole {kind} index: make the index again from its rows.")
    for name, (size, _) in saved.files.items():
        found = (folder / name).stat().st_size if (folder / name).exists() else -1
        if found != size:
            raise IndexDamaged(
                f"{folder / name} has {found} bytes instead of {size}: make the index again from its rows."
            )
    return saved


def load(folder: Path, saved: Saved, name: str, *, check: bool = True) -> NDArray[Any]:
    """Return the array of a file, memory-mapped; with `check` its bytes are read and compared with their checksum."""
    path = folder / name
    if check and checksum(path) != saved.files[name][1]:
        raise IndexDamaged(f"{path} was changed or damaged: make the index again from its rows.")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise IndexDamaged(f"{path} cannot be read ({error}): make the index again from its rows.") from error
    return array


def generation(folder: Path) -> int:
    """Return the number of the last save in a folder; 0 where there is none that can be read."""
    try:
        return int(json.loads((folder / LIST).read_text(encoding="utf-8"))["generation"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as `.npy`, synced."""
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def commit(folder: Path, kind: str, number: int, names: Mapping[str, tuple[int, int] | None], about: Any) -> Saved:
    """Make these files the present ones, and erase and remove all others of the folder.

    A file with None is measured; one with its size and checksum is taken as it is.
    """
    files = {name: known or measure(folder / name) for name, known in names.items()}
    saved = Saved(kind, number, files, about)
    body = saved._asdict() | {"sum": _sum(saved)}
    part = folder / PART
    with part.open("w", encoding="utf-8") as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / LIST)
    _sync(folder)
    for path in folder.iterdir():
        if path.name not in files and path.name not in (LIST, LOCK) and path.is_file():
            erase(path)
    return saved


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one writer at a time into a folder, of whatever process: the others wait. A writer that is killed leaves no lock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        _take(file)
        yield  # closing the file gives it up


def _take(file: IO[bytes]) -> None:
    """Wait for the lock of a file."""
    if sys.platform == "win32":
        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                break
            except OSError:  # after ten seconds
                continue
    else:
        fcntl.flock(file, fcntl.LOCK_EX)


def sync(path: Path) -> None:
    """Bring to the disk what a library wrote to a file."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def measure(path: Path) -> tuple[int, int]:
    """Return the size and the checksum of a file."""
    return path.stat().st_size, checksum(path)


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file, read a block at a time."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found = zlib.crc32(block, found)
    return found


def erase(path: Path) -> None:
    """Overwrite a file and remove it; a process that still has it open reads keys of -1."""
    with path.open("r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(GONE * min(BLOCK, left))
        file.flush()
        os.fsync(file.fileno())
    try:
        path.unlink()
    except PermissionError:  # mapped by somebody on Windows: the next save removes it
        return


def _sync(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sum(saved: Saved) -> int:
    parts = [saved.kind, saved.generation, {n: list(v) for n, v in saved.files.items()}, saved.about]
    return zlib.crc32(json.dumps(parts, sort_keys=True).encode())
