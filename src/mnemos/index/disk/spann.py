"""Vectors on disk, a few lists of which are read for a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mnemos.errors import InvalidInput
from mnemos.index.base import Floats, Keys, Neighbours, Vectors, among, best, checked, checked_query
from mnemos.index.disk import saving, splits
from mnemos.index.disk.build import build, placed
from mnemos.index.disk.centroids import distances
from mnemos.index.disk.clusters import cluster
from mnemos.index.disk.lists import Lists, Postings, coded, joined
from mnemos.registry import Paper, register

FITTED = 100  # neighbours up to which the knobs hold as they are
FEW = 200  # allowed rows that a filtered search looks at, at least, for each of the k


@dataclass(frozen=True, slots=True)
class Knobs:
    """The parameters of a SPANN index. The defaults were chosen on embeddings of chat turns, see the benchmark `ann`."""

    size: int = 50  # rows a list, before closure
    slack: float = 0.15  # eps1: a row also goes into lists up to this much farther away than its nearest
    replicas: int = 4  # lists a row is in, at most
    reach: float = 0.5  # eps2: a query reads the lists up to this much farther away than the nearest
    most: int = 192  # lists a query reads, at most
    balance: bool = True  # whether clusters get like sizes

    def __post_init__(self) -> None:
        if min(self.size, self.replicas, self.most) < 1 or min(self.slack, self.reach) < 0:
            raise InvalidInput(f"{self}: sizes and counts are 1 or more, slack and reach 0 or more.")


@register(
    "spann",
    papers=(
        Paper(
            "SPANN: Highly-efficient Billion-scale Approximate Nearest Neighbor Search", "2111.08566", "microsoft/SPTAG"
        ),
        Paper("SPFresh: Incremental In-Place Update for Billion-Scale Vector Search", "2410.14452"),
    ),
    task="ann",
    baselines=("exact",),
)
class DiskIndex:
    """Keeps vectors in posting lists on disk and reads those whose centroids are nearest to the query.

    Balanced clusters; a vector is in several lists near its border; a query reads as many lists as its place among the
    centroids asks for. Lists hold 8 bits a number. A list that grows past twice its size is split, and rows near it move to
    the list that is now nearest (SPFresh's rule). Deviations: the centroids are searched one by one, squared distances
    stand for distances, and what changed is in RAM until it is saved.
    """

    def __init__(
        self,
        dimension: int,  # numbers a vector
        knobs: Knobs = Knobs(),  # sizes of lists, closure and pruning
    ) -> None:
        self.knobs = knobs
        self.lists = Lists(dimension)
        self.centroids: Floats = np.zeros((0, dimension), dtype=np.float32)
        self.count = 0  # keys
        self.top = -1  # no key was ever above it
        self.written = 0  # bytes of segments that the last save wrote

    def __len__(self) -> int:
        return self.count

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        return self.lists.dimension

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM: centroids, the table of the lists, and the lists that changed since the last save."""
        return self.centroids.nbytes + self.lists.nbytes

    def keys(self) -> Keys:
        """Return all keys, ascending. Reads all of them."""
        return self.lists.all_keys()

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add vectors under keys; see `VectorIndex`. The first ones make the clusters: give as many as there are.

        A key that is not above all former ones costs a scan of the keys, 8 bytes a row, a call.
        """
        keys, rows = checked(keys, vectors, self.dimension)
        if not len(keys):
            return
        if keys.min() <= self.top:
            self.remove(keys)
        self.top = max(self.top, int(keys.max()))
        self.count += len(keys)
        if not len(self.centroids):
            parts = -(-len(rows) // self.knobs.size)
            self.centroids = cluster(rows, parts, np.random.default_rng(0), balance=self.knobs.balance)
            for _ in self.centroids:
                self.lists.append(joined([], self.dimension))
        codes = coded(rows)
        for number, places in placed(rows, self.centroids, self.knobs):
            old = self.lists.read(number)
            self.lists.replace(number, joined([old, Postings(keys[places], codes[places])], self.dimension))
        self.centroids = splits.settle(self.lists, self.centroids, self.knobs.size, self.knobs.slack)

    def remove(self, keys: Keys) -> int:
        """Remove keys and return how many were there; scans the keys, 8 bytes a row. The lists are rewritten by `save`."""
        ordered = np.unique(np.asarray(keys, dtype=np.int64))
        gone: set[int] = set()
        for number in self.lists.with_keys(ordered):
            old = self.lists.read(number)
            out = among(old.keys, ordered)
            gone.update(old.keys[out].tolist())
            self.lists.replace(number, Postings(old.keys[~out], old.codes[~out]))
        self.count -= len(gone)
        return len(gone)

    def search(self, query: Vectors, k: int, allowed: Keys | None = None) -> Neighbours:
        """Return about the `k` nearest keys; see `VectorIndex`.

        With `allowed` more lists are read, until 200 allowed rows for each of the `k` were seen: where few are allowed,
        compare those with the query instead. Raises IndexDamaged for a list that was changed on disk.
        """
        vector = checked_query(query, self.dimension)
        keys, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        seen, near = 0, distances(vector, self.centroids)
        wide = max(1.0, (k / FITTED) ** 0.5)  # the many nearest lie farther away, and in more lists
        most, farthest = int(wide * self.knobs.most), (1 + wide * self.knobs.reach) * near.min(initial=np.inf)
        for place, number in enumerate(self._order(near, most)):
            within = place < most and near[number] <= farthest
            if not within and seen >= (k if allowed is None else FEW * k):
                break
            rows = self.lists.read(int(number))
            fit = slice(None) if allowed is None else among(rows.keys, allowed)
            keys.append(rows.keys[fit])
            scores.append(rows.scores(vector)[fit])
            seen += len(keys[-1])
        return best(np.concatenate(keys), np.concatenate(scores), k)

    def _order(self, near: Floats, most: int) -> Iterator[np.int64]:
        """Yield the lists, the nearest first; all of them are sorted only where the first are not enough."""
        first = min(most, len(near))
        front = np.argpartition(near, first - 1)[:first] if first else np.zeros(0, np.int64)
        yield from front[np.argsort(near[front], kind="stable")]
        rest = np.argsort(near, kind="stable")
        yield from rest[~np.isin(rest, front)]

    def save(self, folder: Path) -> None:
        """Write the segments that changed, and the tables; see `VectorIndex`."""
        about = {"knobs": asdict(self.knobs), "count": self.count, "top": self.top}
        self.lists, self.written = saving.save(self.lists, self.centroids, folder, about)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `save` or `build` wrote; lists are compared with their checksums when they are first read."""
        lists, centroids, about = saving.open_lists(folder)
        index = cls(lists.dimension, Knobs(**about["knobs"]))
        index.lists, index.centroids = lists, centroids
        index.count, index.top = about["count"], about["top"]
        return index

    @classmethod
    def build(
        cls,
        folder: Path,
        dimension: int,
        chunks: Callable[[], Iterator[tuple[Keys, Vectors]]],
        total: int,
        knobs: Knobs = Knobs(),
    ) -> Self:
        """Make an index of more vectors than fit into RAM, in a folder of its own.

        `chunks` is called twice and yields the same keys and vectors, each key once, `total` in all.
        """
        about = {"knobs": asdict(knobs)}
        build(folder, dimension, chunks, total, knobs, about)
        return cls.open(folder)
