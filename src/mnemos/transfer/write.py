"""Write the files of an export: whole or not at all, over nothing that is there, and never through a link."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mnemos.errors import InvalidInput, StoreError


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file to write that gets its name once all of it is on the disk. Only its owner can read it.

    It is written under a random name beside `path`. Raises InvalidInput when `path` is a link or no plain file, or exists
    and is not to be overwritten (also when it appears while the file is written), and StoreError when it cannot be
    written; nothing is left behind then.
    """
    check_free(path, overwrite=overwrite)
    part = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".mnemos-", suffix=".part")
        part = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            check_free(path, overwrite=True)
            part.replace(path)
        else:
            _name(part, path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path} ({error.strerror}). Free some disk space, or choose another path."
        ) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise InvalidInput when an export may not be written to `path`, see `new_file`."""
    if path.is_symlink():
        raise InvalidInput(f"{path} is a link, which an export does not follow. Give the path that it leads to.")
    if not path.exists():
        return
    if not path.is_file():
        raise InvalidInput(f"{path} is no plain file. Give the name of a file. Nothing was written.")
    if not overwrite:
        raise InvalidInput(
            f"{path} exists already. Give another name, or set overwrite (--overwrite). Nothing was written."
        )


def _name(part: Path, path: Path) -> None:
    """Give a written file its name unless the name was taken meanwhile: a link does not replace, as a rename would."""
    try:
        os.link(part, path)
    except FileExistsError as error:
        raise InvalidInput(f"{path} was made by another program meanwhile. Nothing was written.") from error
    except OSError:  # a disk without hard links
        check_free(path, overwrite=False)
        part.replace(path)
