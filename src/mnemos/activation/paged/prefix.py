"""Names of pages by their content: a hash of the tokens, of all tokens before them, and of whatever else matters."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence


def root_digest(extra: Mapping[str, str]) -> bytes:
    """Return the parent of a sequence's first block: a digest of the `extra` keys that change keys and values.

    Such keys are the name of an adapter, a tenant's salt, the hash of an image. Each is hashed as length, tag, length,
    value, so that an adapter called "x" and a salt "x", or ("ab", "c") and ("a", "bc"), never share blocks. They hold
    for the whole sequence, also for the text before an image.
    """
    digest = hashlib.sha256(b"mnemos kv blocks 1")
    for tag in sorted(extra):
        for text in (tag.encode(), extra[tag].encode()):
            digest.update(len(text).to_bytes(8, "big") + text)
    return digest.digest()


def block_digests(parent: bytes, tokens: Sequence[int], size: int) -> list[bytes]:
    """Return the digests of the full blocks of `size` tokens: SHA-256 of the parent's digest and the token ids."""
    digests = []
    for start in range(0, len(tokens) - size + 1, size):
        parent = hashlib.sha256(parent + array("q", tokens[start : start + size]).tobytes()).digest()
        digests.append(parent)
    return digests
