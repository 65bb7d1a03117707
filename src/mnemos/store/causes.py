"""Errors of the system as errors of Mnemos, with the real cause and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from mnemos.errors import OutOfFiles, StoreError, StoreFull
from mnemos.store.pool import SETTING, descriptor_limit

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FILES = {errno.EMFILE, errno.ENFILE}
_CAUSES = {
    errno.ENOENT: "does not exist, or its folder does not. Check that its folder exists",
    errno.EACCES: "may not be opened by this user. Check the permissions of the file and of its folder",
    errno.EPERM: "may not be opened by this user. Check the permissions of the file and of its folder",
    errno.EROFS: "is on a disk that is mounted read-only. Mount it for writing, or choose another root",
    errno.ENOTDIR: "is not inside a folder. Choose another root",
    errno.EISDIR: "is a folder, where the file of a space should be. Move it away",
    errno.ENAMETOOLONG: "has a name that is too long for this disk. Choose a shorter root",
    errno.EIO: "cannot be read or written by the disk. Check the disk",
}


def of_system(error: OSError, path: Path) -> StoreError:
    """Return an error of the system about a file as one that says what to do."""
    if error.errno in _FILES:
        return out_of_files(path)
    if error.errno in _FULL:
        return full(path)
    cause = _CAUSES.get(error.errno or 0, f"cannot be opened ({error.strerror}). Check the disk and the folder")
    return StoreError(f"{path} {cause}.")


def full(path: Path) -> StoreFull:
    """Return the error of a disk without room for a file."""
    return StoreFull(
        f"the disk that holds {path} is full (or a quota or a limit of file sizes is reached). Nothing of this write was "
        "stored, and nothing was lost. Make room and try again: `mnemos delete` and `mnemos forget` work on a full disk."
    )


def out_of_files(path: Path) -> OutOfFiles:
    """Return the error of a process that cannot open another file."""
    return OutOfFiles(
        f"{path} cannot be opened: this process already has as many files open as it may (about {descriptor_limit():,}). "
        f"Raise the limit (`ulimit -n`, LimitNOFILE= in systemd), keep fewer files open, or lower {SETTING}."
    )
