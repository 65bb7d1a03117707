"""A random secret in a file, made on first use."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mnemos.errors import StoreError

SIZE = 32  # bytes


def secret_in(path: Path) -> bytes:
    """Return the secret in a file, which is made if it does not exist; of several makers one wins. Raises StoreError."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            temporary.touch(mode=0o600)
            temporary.write_bytes(secrets.token_bytes(SIZE))
            with suppress(FileExistsError):  # another process was first
                os.link(temporary, path)
            temporary.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot use {path} ({error.strerror}). Check that its folder is writable.") from error
