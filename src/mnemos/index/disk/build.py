"""Make posting lists: cluster a sample, then place all vectors, a chunk at a time, in segments on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemos.index import files
from mnemos.index.base import Floats, Keys, Vectors, checked
from mnemos.index.disk import saving
from mnemos.index.disk.centroids import Ints, closure, grouped, nearest
from mnemos.index.disk.clusters import cluster
from mnemos.index.disk.lists import PLACE, SEGMENT, Postings, code_type, coded

NEAR = 12  # centroids that are looked at for a vector
EACH = 20  # sampled vectors a cluster
MOST = 512 << 20  # bytes of the sample

Chunks = Callable[[], Iterator[tuple[Keys, Vectors]]]


class Placing(Protocol):
    """What placing vectors depends on; see `spann.Knobs`."""

    @property
    def size(self) -> int:
        """Rows a list, before closure."""

    @property
    def slack(self) -> float:
        """How much farther than the nearest a list may be."""

    @property
    def replicas(self) -> int:
        """Lists a row is in, at most."""

    @property
    def balance(self) -> bool:
        """Whether clusters get like sizes."""


def placed(
    rows: Floats, centroids: Floats, knobs: Placing, groups: list[Ints] | None = None
) -> Iterator[tuple[int, Ints]]:
    """Yield lists, ascending, with the places of the rows (N, D) that belong into each."""
    lists, places = assigned(rows, centroids, knobs, groups)
    each, starts = np.unique(lists, return_index=True)
    yield from zip(each.tolist(), np.split(places, starts[1:]), strict=True)


def assigned(rows: Floats, centroids: Floats, knobs: Placing, groups: list[Ints] | None = None) -> tuple[Ints, Ints]:
    """Return lists, ascending, and the place of a row that belongs into each: (M,) both."""
    where, far = nearest(rows, centroids, NEAR, groups)
    place, rank = np.nonzero(closure(where, far, centroids, knobs.slack, knobs.replicas))
    lists = where[place, rank]
    order = np.argsort(lists, kind="stable")
    return lists[order], place[order]


def build(folder: Path, dimension: int, chunks: Chunks, total: int, knobs: Placing, about: dict[str, Any]) -> None:
    """Write an index of all chunks. RAM: a sample, a chunk and a segment; disk: the index twice, for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("part-*"):  # of a build that broke off
        files.erase(left)
    rng = np.random.default_rng(0)
    parts = max(total // knobs.size, 1)
    sample = _sample(chunks(), dimension, min(EACH * parts, MOST // (4 * dimension)) / max(total, 1), rng)
    centroids = cluster(sample, parts, rng, balance=knobs.balance)
    del sample
    row = np.dtype([("list", "<i4"), ("key", "<i8"), ("row", code_type(dimension))])
    count = max(total // SEGMENT, 1)
    bounds = np.linspace(0, len(centroids), count + 1).astype(np.int64)
    groups, number = grouped(centroids, rng), files.generation(folder) + 1
    keys_seen, top = 0, -1
    for keys, vectors in chunks():
        keys, rows = checked(keys, vectors, dimension)
        keys_seen, top = keys_seen + len(keys), max(top, int(keys.max(initial=-1)))
        lists, places = assigned(rows, centroids, knobs, groups)
        block = np.empty(len(lists), dtype=row)
        block["list"], block["key"], block["row"] = lists, keys[places], coded(rows)[places]
        for segment, piece in enumerate(np.split(block, np.searchsorted(lists, bounds[1:-1]))):
            with (folder / f"part-{segment:05}").open("ab") as file:
                file.write(piece.tobytes())
    places_of, stems = np.zeros(len(centroids), dtype=PLACE), []
    for segment in range(count):
        path = folder / f"part-{segment:05}"
        stems.append(f"{segment:05}-{number:06}")
        _write(
            folder, stems[-1], np.fromfile(path, dtype=row), places_of, segment, (bounds[segment], bounds[segment + 1])
        )
        path.unlink()
    noted = about | {"dimension": dimension, "count": keys_seen, "top": top}
    saving.commit(folder, number, stems, places_of, centroids, noted, {})


def _write(folder: Path, stem: str, block: NDArray[Any], places: Any, segment: int, bounds: tuple[int, int]) -> None:
    block = block[np.argsort(block["list"], kind="stable")]
    keys, codes = block["key"].copy(), block["row"].copy()
    starts = np.searchsorted(block["list"], np.arange(bounds[0], bounds[1] + 1))
    rows = [
        (int(bounds[0]) + i, Postings(keys[start:end], codes[start:end]))
        for i, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
    ]
    saving.write_segment(folder, stem, rows, places, segment, codes["code"].shape[1])


def _sample(chunks: Iterator[tuple[Keys, Vectors]], dimension: int, share: float, rng: np.random.Generator) -> Floats:
    """Return about this share of the vectors, (S, D) of unit length."""
    parts = [np.zeros((0, dimension), dtype=np.float32)]
    for keys, vectors in chunks:
        chosen = rng.random(len(keys)) < share
        parts.append(checked(keys[chosen], vectors[chosen], dimension)[1])
    return np.concatenate(parts)
