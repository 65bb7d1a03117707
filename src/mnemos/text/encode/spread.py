"""An encoder whose work is spread over workers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnemos.cube import MemCube
from mnemos.embed.base import Embedder, Progress
from mnemos.embed.portable import Portable
from mnemos.errors import StaleVectors
from mnemos.store.values import Entry
from mnemos.tasks import Workers
from mnemos.text.base import Encoder

SHARD = 256  # cubes in a task


@dataclass(frozen=True, slots=True)
class Part:
    """Cubes that a worker encodes, and the place of the first among all."""

    start: int
    encoder: Encoder
    embedder: Portable | None
    cubes: Sequence[MemCube]


@dataclass(frozen=True, slots=True)
class SpreadEncoder:
    """Lets workers make the entries that another encoder makes; the caller stores them. For bulk imports."""

    encoder: Encoder
    workers: Workers

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: Progress | None = None
    ) -> list[Entry]:
        """Return an entry for each cube, in order. Few cubes are encoded here. Raises WorkerLost."""
        if len(cubes) <= SHARD:
            return self.encoder.encode(cubes, embedder, progress)
        found: dict[int, list[Entry]] = {}
        for start, entries in self.workers.run(encode_part, self._parts(cubes, embedder)):
            found[start] = entries
            if progress:
                progress(len(entries))
        made = [entry for start in sorted(found) for entry in found[start]]
        if embedder is not None and (stale := sum(entry.vector is None for entry in made)):
            warnings.warn(
                f"{stale} texts were stored without vectors, words still find them: the embedder {embedder.name} failed. When it "
                "works again, run `mnemos reindex`.",
                StaleVectors,
                stacklevel=2,
            )
        return made

    def _parts(self, cubes: Sequence[MemCube], embedder: Embedder | None) -> Iterator[Part]:
        portable = None if embedder is None else Portable(embedder)
        for start in range(0, len(cubes), SHARD):
            yield Part(start, self.encoder, portable, cubes[start : start + SHARD])


def encode_part(part: Part) -> tuple[int, list[Entry]]:
    """Return the place of a part and its entries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleVectors)  # the caller says it once
        embedder = None if part.embedder is None else part.embedder.embedder
        return part.start, part.encoder.encode(part.cubes, embedder)
