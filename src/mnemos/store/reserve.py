"""Room that is kept on the disk of a root, so that erasing works when the disk is full.

SQLite writes before it frees: even a row that is removed needs room for the pages that change.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

NAME = ".reserve"
SIZE = 2 * 1024 * 1024  # bytes: the log of a transaction that erases some twenty scattered cubes
_BLOCK = 64 * 1024


def keep(folder: Path) -> None:
    """Make the reserve of a folder, of at most half of the room on the disk. Costs a few ms the first time."""
    path = folder / NAME
    with suppress(OSError):
        held = path.stat().st_size if path.exists() else 0
        wanted = min(SIZE, (shutil.disk_usage(folder).free + held) // 2 // _BLOCK * _BLOCK)
        if held >= wanted:
            return
        try:
            with path.open("wb") as file:
                path.chmod(0o600)
                for _ in range(0, wanted, _BLOCK):
                    file.write(os.urandom(_BLOCK))  # not zeros, which some disks do not store
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)


def release(folder: Path) -> bool:
    """Give the reserve of a folder back to the disk; return whether there was one."""
    try:
        (folder / NAME).unlink()
    except OSError:
        return False
    return True
