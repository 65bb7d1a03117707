"""The secret of a space, by which hashes are keyed: no one who can only write to the space can compute them."""

from __future__ import annotations

import os

from mnemos.errors import StoreError
from mnemos.store.base import Store
from mnemos.store.setting import stored_value

NAME = "lesson key"
PROCESS = os.urandom(16)  # for a space that has none and cannot be written to


def key_of(store: Store) -> bytes:
    """Return the secret of a space, 16 bytes, which is created at its first use."""
    if (kept := stored_value(store, NAME, bytes.fromhex)) is not None:
        return kept
    try:
        store.meta.set(NAME, (new := os.urandom(16)).hex())
    except StoreError:
        return PROCESS
    return stored_value(store, NAME, bytes.fromhex) or new  # another process may have been first
