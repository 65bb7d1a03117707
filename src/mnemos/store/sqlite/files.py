"""Read and create SQLite's files as bytes without losing its locks.

When a process closes any descriptor of a file, POSIX drops all locks that the process has on it (fcntl(2)). Another process
then believes that the file is unused and removes its write-ahead log: later writes to it are lost. So a file opened here
is closed only when no connection of this process has it open.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

CHUNK = 1024 * 1024
WINDOWS = os.name == "nt"
File = tuple[int, int]  # device and inode


@dataclass
class _Used:
    users: int = 0
    held: dict[File, int] = field(default_factory=dict)  # descriptors of the file and of those beside it


_lock = threading.Lock()
_used: dict[File, _Used] = {}


def make(path: Path) -> None:
    """Create a file that only this user can read, unless it exists. Raises OSError."""
    with _lock, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def sync(path: Path) -> None:
    """Write a folder, or a file that no connection of this process has open, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def enter(path: Path) -> File:
    """Register that a connection of this process opened a file; return what `leave` takes."""
    file = _identity(path.stat())
    with _lock:
        _used.setdefault(file, _Used()).users += 1
    return file


def leave(file: File) -> None:
    """Register that a connection was closed."""
    with _lock:
        used = _used[file]
        used.users -= 1
        if not used.users:
            del _used[file]
            for descriptor in used.held.values():
                os.close(descriptor)


@contextmanager
def using(path: Path) -> Iterator[File]:
    """Keep the descriptors that `blocks` opens of a file, and of those beside it, open for the duration."""
    file = enter(path)
    try:
        yield file
    finally:
        leave(file)


def blocks(path: Path, of: File) -> Iterator[bytes]:
    """Yield the bytes of a file beside a file in use, 1 MB at a time. Raises OSError."""
    if WINDOWS:  # where a lock belongs to its descriptor
        with path.open("rb") as stream:
            yield from iter(partial(stream.read, CHUNK), b"")
        return
    with _lock:
        held = _used[of].held
        descriptor = held.get(_identity(path.stat()))
        if descriptor is None:
            descriptor = os.open(path, os.O_RDONLY)
            held[_identity(os.fstat(descriptor))] = descriptor
    offset = 0
    while block := os.pread(descriptor, CHUNK, offset):
        yield block
        offset += len(block)


def _identity(status: os.stat_result) -> File:
    return status.st_dev, status.st_ino


def _reset() -> None:
    """Forget everything in a forked child: the connections belong to its parent, and so does a lock that was held."""
    global _lock
    _lock = threading.Lock()
    _used.clear()


if not WINDOWS:
    os.register_at_fork(after_in_child=_reset)
