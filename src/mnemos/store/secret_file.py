"""A secret in a file, made on first use."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mnemos.errors import StoreError


def secret_in(path: Path, first: bytes) -> bytes:
    """Return the secret in a file; where there is none, it is made of `first`. Of several makers one wins.

    Raises StoreError.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            temporary.touch(mode=0o600)
            temporary.write_bytes(first)
            with suppress(FileExistsError):  # another process was first
                os.link(temporary, path)
            temporary.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot use {path} ({error.strerror}). Check that its folder is writable.") from error
