"""Entries of cubes: what recall needs of a text is computed once, when it is written."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube, to_micros
from mnemos.embed.base import Embedder, Progress
from mnemos.errors import EmbedderError, StaleVectors
from mnemos.facts import Reading
from mnemos.registry import Paper, register
from mnemos.store.values import DateRow, Entry
from mnemos.text.encode.readings import Described, embed_and_read


@register("entries")
@dataclass(frozen=True, slots=True)
class Entries:
    """Compute the terms of each text, its vector, what heads read in it, and the dates that it mentions (ours).

    Costs one forward pass of the embedder for each cube, about 3 ms, and 0.6 ms for the rest. Where the embedder fails
    the vectors are missing, and `Space.reindex` computes them later.
    """

    attributes: Described = ()  # what a read value can be of, besides the package's: (name, description) pairs

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: Progress | None = None
    ) -> list[Entry]:
        """Return an entry for each cube; its vector is float16, (D,), or (1 + parts, D)."""
        vectors, readings = embed_texts([c.text for c in cubes], embedder, progress, self.attributes)
        entries = []
        for cube, vector, read in zip(cubes, vectors, readings, strict=True):
            terms, dates = words_and_dates(cube)
            entries.append(Entry(cube, terms, vector, dates, read))
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
    more: Described = (),  # attributes in addition to those of the package
) -> tuple[list[NDArray[np.float16] | None], list[tuple[Reading, ...]]]:
    """Turn texts into float16 vectors and readings; None and nothing for each text without an embedder that works."""
    none: list[NDArray[np.float16] | None] = [None] * len(texts)
    if embedder is None or not texts:
        return none, [()] * len(texts)
    try:
        vectors, readings = embed_and_read(texts, embedder, progress, more)
        return [vector.astype(np.float16) for vector in vectors], readings
    except EmbedderError as error:
        warnings.warn(
            f"the texts were stored without vectors, words still find them: {error} "
            "When the embedder works again, run `mnemos reindex`.",
            StaleVectors,
            stacklevel=2,
        )
        return none, [()] * len(texts)
