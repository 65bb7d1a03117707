"""Split lists that grew too long, and move rows to the list that is now nearest: LIRE of SPFresh (arXiv 2410.14452).

When a list is split, two centroids take the place of one. Only rows near it can have become wrong: those of the list itself
that are nearer to a neighbouring centroid than to both new ones, and those of neighbouring lists that are nearer to a new
one than to their own. They go to the nearest list, and stay in their own only where the rule of closure keeps them.
"""

from __future__ import annotations

import numpy as np

from mnemos.index.base import Floats, unit
from mnemos.index.disk.centroids import closure, distances
from mnemos.index.disk.clusters import split
from mnemos.index.disk.lists import Lists, Postings, joined

LONGEST = 2  # times the size of a list, with its replicas
AROUND = 8  # neighbouring lists that are looked at


def settle(lists: Lists, centroids: Floats, size: int, slack: float) -> Floats:
    """Split all lists of more than twice `size` rows; return the centroids, with the new ones at the end."""
    rng = np.random.default_rng(0)
    waiting = [n for n in list(lists.fresh) if len(lists.fresh[n].keys) > LONGEST * size]
    while waiting:
        number = waiting.pop()
        rows = lists.read(number)
        vectors = rows.vectors
        labels = split(vectors, 2, rng)
        if len(rows.keys) <= LONGEST * size or not 0 < labels.sum() < len(labels):
            continue
        centres = unit(np.array([vectors[labels == part].mean(axis=0) for part in (0, 1)]))
        both = 2 - 2 * (vectors @ centres.T)
        order = np.argsort(both, axis=1)
        taken = closure(order, np.take_along_axis(both, order, axis=1), centres, slack, 2)
        inside = np.take_along_axis(taken, np.argsort(order, axis=1), axis=1)
        if inside.all(axis=0).any():
            inside = np.eye(2, dtype=bool)[labels]  # else one of the two lists would be as long as before
        old = centroids[number]
        lists.replace(number, Postings(rows.keys[inside[:, 0]], rows.codes[inside[:, 0]]))
        new = lists.append(Postings(rows.keys[inside[:, 1]], rows.codes[inside[:, 1]]), beside=number)
        centroids[number] = centres[0]
        centroids = np.concatenate([centroids, centres[1:]])
        changed = _reassign(lists, centroids, (number, new), old, rows, both.min(axis=1), slack)
        waiting += [n for n in changed if len(lists.read(n).keys) > LONGEST * size and n not in waiting]
    return centroids


def _reassign(
    lists: Lists, centroids: Floats, new: tuple[int, int], old: Floats, rows: Postings, far: Floats, slack: float
) -> list[int]:
    """Move rows near a split to the list that is now nearest to them; return the lists that got rows."""
    near = distances(old, centroids)
    near[list(new)] = 9
    around = np.argsort(near)[: min(AROUND, len(near) - 2)]
    changed = list(new)
    if not len(around):
        return changed
    vectors = rows.vectors
    to = 2 - 2 * (vectors @ centroids[around].T)  # rows of the split list
    for place, number in enumerate(around.tolist()):
        here = (to[:, place] < far) & (to.argmin(axis=1) == place)
        changed += _copy(lists, number, Postings(rows.keys[here], rows.codes[here]))
    for number in around.tolist():
        theirs = lists.read(number)
        vectors = theirs.vectors
        own = 2 - 2 * (vectors @ centroids[number])
        both = 2 - 2 * (vectors @ centroids[list(new)].T)
        stays = np.ones(len(own), dtype=bool)
        for place, target in enumerate(new):
            here = (both[:, place] < own) & (both.argmin(axis=1) == place)
            changed += _copy(lists, target, Postings(theirs.keys[here], theirs.codes[here]))
            apart = 2 - 2 * float(centroids[number] @ centroids[target])
            stays &= ~here | ((own <= (1 + slack) * both[:, place]) & (apart >= own))
        if not stays.all():
            lists.replace(number, Postings(theirs.keys[stays], theirs.codes[stays]))
    return list(dict.fromkeys(changed))


def _copy(lists: Lists, number: int, rows: Postings) -> list[int]:
    """Add those rows that a list does not have; return the list where it changed."""
    old = lists.read(number)
    missing = ~np.isin(rows.keys, old.keys)
    if not missing.any():
        return []
    lists.replace(number, joined([old, Postings(rows.keys[missing], rows.codes[missing])], lists.dimension))
    return [number]
