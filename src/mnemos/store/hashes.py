"""Hashes that every store keeps of texts and of erased ids."""

from __future__ import annotations

import hashlib


def text_hash(text: str) -> int:
    """Return a signed 64-bit hash; texts that differ only in case, spaces and final dots share it."""
    plain = " ".join(text.casefold().split()).rstrip(".! ") or text
    return int.from_bytes(hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)


def id_hash(cube_id: str) -> bytes:
    """Return the hash that is kept of an erased id, 16 bytes."""
    return hashlib.blake2b(cube_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
