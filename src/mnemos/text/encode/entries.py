"""Entries of cubes: what recall needs of a text is computed once, when it is written."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube, to_micros
from mnemos.embed.base import Embedder, Progress, embed_parts
from mnemos.errors import EmbedderError, StaleVectors
from mnemos.registry import Paper, register
from mnemos.store.values import DateRow, Entry


@register("entries")
@dataclass(frozen=True, slots=True)
class Entries:
    """Compute the terms of each text, its vector and the dates that it mentions (ours).

    Costs one forward pass of the embedder for each cube, about 3 ms, and 0.1 ms for the rest. Where the embedder fails
    the vectors are missing, and `Space.reindex` computes them later.
    """

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: Progress | None = None
    ) -> list[Entry]:
        """Return an entry for each cube; its vector is float16, (D,), or (1 + parts, D)."""
        vectors = embed_texts([c.text for c in cubes], embedder, progress)
        entries = []
        for cube, vector in zip(cubes, vectors, strict=True):
            terms, dates = words_and_dates(cube)
            entries.append(Entry(cube, terms, vector, dates))
        return entries


@register("dates")
def words_and_dates(cube: MemCube) -> tuple[tuple[str, ...], tuple[DateRow, ...]]:
    """Find the dates that a text mentions, resolved against when it was said; and its terms (ours)."""
    from mnemos.index.terms import index_terms
    from mnemos.reason.dates import find_dates  # dateparser and the stemmer are slow to import

    dates = tuple(
        DateRow(to_micros(d.start), to_micros(d.end), d.phrase, d.span_start, d.span_end, d.granularity, d.relative)
        for d in find_dates(cube.text, cube.local_at)
    )
    return tuple(index_terms(cube.text)), dates


@register(
    "embed",
    papers=(
        Paper(
            "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
            "1908.10084",
            code="UKPLab/sentence-transformers",
        ),
    ),
)
def embed_texts(
    texts: Sequence[str],
    embedder: Embedder | None,
    progress: Progress | None = None,  # called with the number of texts embedded since its last call
) -> list[NDArray[np.float16] | None]:
    """Turn texts into float16 vectors, (D,) each, or (1 + parts, D); None for each text when there is no embedder or it fails."""
    if embedder is None or not texts:
        return [None] * len(texts)
    try:
        return [vectors.astype(np.float16) for vectors in embed_parts(embedder, texts, progress)]
    except EmbedderError as error:
        warnings.warn(
            f"the texts were stored without vectors, words still find them: {error} "
            "When the embedder works again, run `mnemos reindex`.",
            StaleVectors,
            stacklevel=2,
        )
        return [None] * len(texts)
