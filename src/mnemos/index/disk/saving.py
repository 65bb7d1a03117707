"""Save and open posting lists: segments that changed are written again, whole, beside the former ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.errors import IndexDamaged
from mnemos.index import files
from mnemos.index.base import Floats
from mnemos.index.disk.lists import PLACE, SEGMENT, Lists, Postings, joined, summed

KIND = "disk"
PARTS = ("keys", "codes")


def save(lists: Lists, centroids: Floats, folder: Path, about: dict[str, Any]) -> tuple[Lists, int]:
    """Write lists and centroids to a folder; return the lists as they are there, and the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    number = files.generation(folder) + 1
    known = files.read(folder, KIND).files if number > 1 else {}
    places = lists.places.copy()
    stems: list[str] = []
    mine = {s for s in lists.stems if f"{s}.codes.npy" in known}
    changed = places["segment"][list(lists.fresh)] if lists.fresh else np.zeros(0, np.int32)
    dirty = set(changed.tolist()) | {i for i, stem in enumerate(lists.stems) if stem not in mine}
    for segment in sorted(set(places["segment"].tolist()) - dirty):
        places["segment"][lists.places["segment"] == segment] = len(stems)
        stems.append(lists.stems[segment])
    written = 0
    for group in _groups(lists, dirty):
        stem = f"{len(stems):05}-{number:06}"
        written += write_segment(folder, stem, [(n, lists.read(n)) for n in group], places, len(stems), lists.dimension)
        stems.append(stem)
    return commit(folder, number, stems, places, centroids, about | {"dimension": lists.dimension}, known), written


def write_segment(
    folder: Path, stem: str, rows: list[tuple[int, Postings]], places: Any, segment: int, dimension: int
) -> int:
    """Write lists one after the other, note their places, and return the bytes written."""
    start = 0
    for number, postings in rows:
        places[number] = (segment, start, len(postings.keys), summed(postings))
        start += len(postings.keys)
    whole = joined([postings for _, postings in rows], dimension)
    for part, array in zip(PARTS, whole, strict=True):
        files.write_array(folder / f"{stem}.{part}.npy", array)
    return whole.keys.nbytes + whole.codes.nbytes


def commit(
    folder: Path, number: int, stems: list[str], places: Any, centroids: Floats, about: dict[str, Any], known: Any
) -> Lists:
    """Write the tables of a generation, make it the present one, and return its lists."""
    names = {f"{stem}.{part}.npy": known.get(f"{stem}.{part}.npy") for stem in stems for part in PARTS}
    for name, array in (("places", places), ("centroids", centroids)):
        files.write_array(folder / f"{name}-{number:06}.npy", array)
        names[f"{name}-{number:06}.npy"] = None
    files.commit(folder, KIND, number, names, about | {"stems": stems})
    return open_lists(folder)[0]


def open_lists(folder: Path) -> tuple[Lists, Floats, dict[str, Any]]:
    """Return lists, centroids (C, D) and what the index notes of itself. Raises IndexDamaged."""
    saved = files.read(folder, KIND)
    about = dict(saved.about)
    stems, end = about.pop("stems"), f"-{saved.generation:06}.npy"
    lists = Lists(about.pop("dimension"))
    lists.places = np.array(files.load(folder, saved, f"places{end}"))
    lists.stems = stems
    lists.segments = [
        Postings(*(files.load(folder, saved, f"{stem}.{part}.npy", check=False) for part in PARTS)) for stem in stems
    ]
    lists.unchecked()
    centroids = np.array(files.load(folder, saved, f"centroids{end}"))
    if lists.places.dtype != PLACE or centroids.shape != (len(lists), lists.dimension):
        raise IndexDamaged(f"{folder} has centroids of shape {centroids.shape}: make the index again from its rows.")
    return lists, centroids, about


def _groups(lists: Lists, dirty: set[int]) -> Iterator[list[int]]:
    """Yield the lists of segments to write: those of one that changed, in their order, in several where it grew."""
    lengths = lists.lengths
    for segment in sorted(dirty):
        here = np.flatnonzero(lists.places["segment"] == segment)
        here = here[np.argsort(lists.places["start"][here], kind="stable")]
        if not len(here):
            continue
        total = int(lengths[here].sum())
        parts = -(-total // SEGMENT) if total > 2 * SEGMENT or segment < 0 else 1
        at = np.minimum(np.cumsum(lengths[here]) * max(parts, 1) // max(total, 1), max(parts, 1) - 1)
        yield from (group.tolist() for group in np.split(here, np.flatnonzero(np.diff(at)) + 1))
