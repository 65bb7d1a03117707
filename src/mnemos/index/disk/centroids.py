"""The centroids of posting lists, in RAM: which are nearest to a vector, and which lists a vector belongs to.

`N` vectors, `C` centroids, `G` groups of them, `R` lists a vector, `D` numbers. Distances are squared, of unit vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnemos.index.base import Floats, unit
from mnemos.index.disk.clusters import split

MANY = 4_000  # centroids from which bulk work goes by groups
GROUPS = 10  # groups that are looked into for a vector
EACH = 6  # centroids that are taken of each
BLOCK = 8_192  # vectors at a time
MEMBERS = 256  # centroids a group

Ints = NDArray[np.int64]


def distances(query: Floats, centroids: Floats) -> Floats:
    """Return the distances of a query (D,) to all centroids, (C,)."""
    found: Floats = np.maximum(2 - 2 * (centroids @ query), 0)
    return found


def nearest(rows: Floats, centroids: Floats, count: int, groups: list[Ints] | None = None) -> tuple[Ints, Floats]:
    """Return the `count` nearest centroids of each row and their distances, both (N, count), ascending.

    With `groups` (as `grouped` makes them) only those in the groups near a row are compared: a few are missed.
    """
    count = min(count, len(centroids))
    where = np.empty((len(rows), count), dtype=np.int64)
    far = np.empty((len(rows), count), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        if groups is None:
            scores = block @ centroids.T
            at = np.argpartition(scores, -count, axis=1)[:, -count:]
            kept = np.take_along_axis(scores, at, axis=1)
        else:
            at, kept = _through_groups(block, centroids, groups)
        order = np.argsort(-kept, axis=1)[:, :count]
        where[start : start + BLOCK] = np.take_along_axis(at, order, axis=1)
        far[start : start + BLOCK] = np.maximum(2 - 2 * np.take_along_axis(kept, order, axis=1), 0)
    return where, far


def grouped(centroids: Floats, rng: np.random.Generator) -> list[Ints] | None:
    """Return groups of centroids that are near one another; None where there are too few to need them."""
    if len(centroids) < MANY:
        return None
    labels = split(centroids, len(centroids) // MEMBERS, rng, balance=False)
    return [np.flatnonzero(labels == group) for group in np.unique(labels)]


def _through_groups(rows: Floats, centroids: Floats, groups: list[Ints]) -> tuple[Ints, Floats]:
    """Return candidates of each row, (N, GROUPS * EACH), and their cosines."""
    centres = unit(np.array([centroids[members].mean(axis=0) for members in groups]))
    reach = min(GROUPS, len(groups))
    scores = rows @ centres.T
    chosen = np.argpartition(scores, -reach, axis=1)[:, -reach:].ravel()
    found = np.zeros((len(rows) * reach, EACH), dtype=np.int64)
    kept = np.full((len(rows) * reach, EACH), -9, dtype=np.float32)  # no cosine: a small group has fewer
    order = np.argsort(chosen, kind="stable")
    for group, places in zip(*_runs(chosen[order], order), strict=True):
        members = groups[group]
        near = rows[places // reach] @ centroids[members].T
        few = min(EACH, len(members))
        at = np.argpartition(near, -few, axis=1)[:, -few:]
        found[places, :few] = members[at]
        kept[places, :few] = np.take_along_axis(near, at, axis=1)
    return found.reshape(len(rows), -1), kept.reshape(len(rows), -1)


def _runs(labels: Ints, values: Ints) -> tuple[Ints, list[Ints]]:
    """Return each of some ascending labels once, and the values under it."""
    each, starts = np.unique(labels, return_index=True)
    return each, np.split(values, starts[1:])


def closure(where: Ints, far: Floats, centroids: Floats, slack: float, most: int) -> NDArray[np.bool_]:
    """Return which of its nearest centroids, (N, R) ascending, get a row: those almost as near as the nearest.

    SPANN, section 3.2: a centroid is taken if its distance is at most (1 + slack) times the least, unless it is nearer to
    one that was taken before than to the row (the rule of relative neighbourhood graphs); `most` in all.
    """
    taken = np.zeros(where.shape, dtype=bool)
    taken[:, 0] = True
    for place in range(1, where.shape[1]):
        fit = (far[:, place] <= (1 + slack) * far[:, 0]) & (taken.sum(axis=1) < most)
        at = np.flatnonzero(fit)
        if not len(at):
            break
        here = centroids[where[at, place]]
        for before in range(place):
            apart = 2 - 2 * np.vecdot(here, centroids[where[at, before]])
            fit[at] &= ~(taken[at, before] & (apart < far[at, place]))
        taken[:, place] = fit
    return taken
