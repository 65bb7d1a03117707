"""The files of SQLite as bytes, read and made without the loss of its locks.

When a process closes any descriptor of a file, POSIX takes away all locks that the process has on it (fcntl(2)). Another
process then believes that nobody uses the file, and removes its write-ahead log: what is written to it afterwards is
lost. So what is opened here is closed when no connection of this process has the file open any more.
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
    """Make a file that only this user may read, if it is not there. Raises OSError."""
    with _lock, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def enter(path: Path) -> File:
    """Say that a connection of this process has a file open; return what `leave` takes."""
    file = _identity(path.stat())
    with _lock:
        _used.setdefault(file, _Used()).users += 1
    return file


def leave(file: File) -> None:
    """Say that a connection has been closed."""
    with _lock:
        used = _used[file]
        used.users -= 1
        if not used.users:
            del _used[file]
            for descriptor in used.held.values():
                os.close(descriptor)


@contextmanager
def using(path: Path) -> Iterator[File]:
    """Keep what is read of a file, and of those beside it, from being closed meanwhile."""
    file = enter(path)
    try:
        yield file
    finally:
        leave(file)


def blocks(path: Path, of: File) -> Iterator[bytes]:
    """Yield the bytes of a file that belongs to one in use, some 1 MB at a time. Raises OSError."""
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


def _begin_anew() -> None:
    """Start with nothing in a forked child: the connections are its parent's, and so is a lock that was held meanwhile."""
    global _lock
    _lock = threading.Lock()
    _used.clear()


if not WINDOWS:
    os.register_at_fork(after_in_child=_begin_anew)
