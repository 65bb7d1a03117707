"""Feature hashing as an embedder: no model, for tests and very small machines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from mnemos.embed.base import Progress, Vectors, unit_rows
from mnemos.errors import InvalidInput


class HashingEmbedder:
    """Feature hashing (Weinberger et al. 2009, arXiv 0902.2206) of words and of their character trigrams.

    It knows no synonyms but finds misspelled words. The same on every machine; linear in the text.
    """

    name = "hashing"
    revision = "2"

    def __init__(self, dimension: int = 512) -> None:
        if dimension < 8:
            raise InvalidInput(f"the dimension of the hashing embedder is {dimension}: use 8 or more.")
        self.dimension = dimension

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, D) unit vectors; a text without letters or digits gets zeros."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for feature, weight in _features(text):
                code = int.from_bytes(
                    hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest(), "big"
                )
                row[(code >> 1) % self.dimension] += weight if code & 1 else -weight
            if progress:
                progress(1)
        return unit_rows(vectors)


def _features(text: str) -> Iterator[tuple[str, float]]:
    from mnemos.index.terms import terms

    for term in terms(text):
        yield term, 1.0
        padded = f"<{term}>"
        for i in range(len(padded) - 2):
            yield "#" + padded[i : i + 3], 0.5
