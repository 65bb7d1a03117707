"""Signs in principal directions."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.index.base import Floats
from mnemos.index.codes.bits import BitCoder, bits_of, principal
from mnemos.registry import register


@register("sign-pca", task="codes")
@dataclass(frozen=True, slots=True)
class SignPCA:
    """Keep the signs in the principal directions: the textbook's baseline of learned hashing.

    Late directions, which hardly vary, cost as many bits as the first.
    """

    bytes: int = 48  # a vector

    def fit(self, vectors: Floats, questions: Floats | None = None) -> BitCoder:
        """Return the principal directions of the vectors."""
        return BitCoder(*principal(vectors, bits_of(self.bytes)))
