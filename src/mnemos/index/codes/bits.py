"""Codes of one bit a direction, compared by the number of equal bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.errors import InvalidInput
from mnemos.index.base import Floats
from mnemos.index.codes.base import Arrays, Bytes


@dataclass(frozen=True, slots=True)
class BitCoder:
    """Keeps the signs of a vector in some directions."""

    axes: Floats  # (D, bits)
    centre: Floats  # (D,) what is taken off a vector first

    def encode(self, vectors: Floats) -> Bytes:
        """Return the signs, eight a byte, (N, bits / 8)."""
        return np.packbits((vectors - self.centre) @ self.axes > 0, axis=1)

    def scores(self, codes: Bytes, query: Floats) -> Floats:
        """Return the negative number of bits in which codes differ from those of the query."""
        asked = self.encode(query[None])[0]
        if codes.shape[1] % 8 == 0 and codes.flags.c_contiguous:  # eight bytes at a time
            differ = np.bitwise_count(codes.view(np.uint64) ^ asked.view(np.uint64))
        else:
            differ = np.bitwise_count(codes ^ asked)
        equal: Floats = -differ.sum(axis=1, dtype=np.int32).astype(np.float32)
        return equal

    def arrays(self) -> Arrays:
        """Return the directions and the centre."""
        return {"axes": self.axes, "centre": self.centre}


def bits_of(size: int) -> int:
    """Return the bits of some bytes. Raises InvalidInput below 1."""
    if size < 1:
        raise InvalidInput(f"bytes is {size}: give 1 or more.")
    return 8 * size


def principal(vectors: Floats, bits: int) -> tuple[Floats, Floats]:
    """Return the first principal directions (D, bits) and the mean (D,). Raises InvalidInput for more bits than D."""
    if bits > vectors.shape[1]:
        raise InvalidInput(f"{bits} bits of {vectors.shape[1]} numbers: a direction has one bit, give fewer bytes.")
    centre = vectors.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((vectors - centre).T.astype(np.float64)))
    return axes[:, np.argsort(-values)[:bits]].astype(np.float32), centre


def rotation(size: int, seed: int) -> Floats:
    """Return a random orthogonal matrix, (size, size)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    turned: Floats = (q * np.sign(np.diag(r))).astype(np.float32)
    return turned
