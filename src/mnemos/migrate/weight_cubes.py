"""Cubes whose payload is weights, as rows: which there are, and which may no longer be used, and why. No torch."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence

from mnemos.cube import Form, MemCube
from mnemos.errors import Conflict, StoreError
from mnemos.store.base import Store
from mnemos.store.values import WEIGHTS, WITH_PAYLOAD, Entry, Filter

FORM: Form = "parametric"
ALL = 1_000_000  # cubes read at once


def weight_cubes(store: Store, ids: Iterable[str] | None = None) -> list[MemCube]:
    """Return the cubes that hold weights, or those of these ids, the one learned first first. O(weights).

    `at` is when they were learned; a later version was measured again.
    """
    if ids is None:
        found = [cube for _, cube in store.select(Filter(kind=WEIGHTS, state=None), limit=ALL)]
    else:
        found = list(store.get(list(ids)).values())
    return sorted((c for c in found if c.form == FORM), key=lambda c: (c.at, c.id))


def sweep(store: Store) -> None:
    """Remove payloads of keys, values and weights without a row, which a crash left; none of a store that is only read."""
    if not store.read_only:
        kept = (store.select(Filter(kind=kind, state=None), limit=ALL) for kind in WITH_PAYLOAD)
        store.blobs.sweep({cube.id for rows in kept for _, cube in rows})


def digest_of(data: bytes) -> str:
    """Return what a cube says of its payload, so that a damaged or exchanged one is noticed."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def stale(store: Store, cubes: Sequence[MemCube]) -> dict[str, str]:
    """Return why weights may not be used, by id, for those that are stale: a cube that they were learned from changed.

    Weights say what a text said when they were learned. So they are stale once it was updated, superseded or archived, or
    they were archived themselves, and fresh again when that is undone. One lookup of all parents.
    """
    parents = store.get(list(dict.fromkeys(p for cube in cubes for p in cube.parents)))
    found: dict[str, str] = {}
    for cube in cubes:
        if cube.state == "archived":
            found[cube.id] = "it is archived: unarchive it to attach it again"
            continue
        versions = cube.metadata.get("versions")
        if not isinstance(versions, dict) or not versions or versions.keys() != set(cube.parents):
            found[cube.id] = "it does not say which versions of its cubes it was learned from"
            continue
        reasons = (_changed(parents.get(p), p, version) for p, version in versions.items())
        if reason := next((r for r in reasons if r), ""):
            found[cube.id] = f"{reason} since it was learned: learn it again"
    return found


def _changed(cube: MemCube | None, name: str, version: object) -> str:
    """Return what happened to a cube since this version; "" where nothing did."""
    if cube is None:
        return f"cube {name} was erased"
    if cube.state in ("superseded", "archived"):
        return f"cube {name} was {cube.state}"
    return "" if cube.version == version else f"cube {name} was updated"


def write(store: Store, cube: MemCube, data: bytes, what: str = "weights") -> None:
    """Write the payload of a cube of weights (or what it is), then the cube; a transaction makes sure that it is fresh.

    So a process that is killed leaves either a payload that is whole or none: one without a cube is never read, and is
    removed by a later sweep. Raises Conflict for what is stale, and StoreError; nothing is stored then.
    """
    store.blobs.write(cube.id, data)
    try:
        with store.transaction():
            if reason := stale(store, [cube]).get(cube.id):
                raise Conflict(f"the {what} were not kept: {reason}.")
            store.insert([Entry(cube, ())], None)
    except BaseException:
        with contextlib.suppress(StoreError):
            store.blobs.drop([cube.id])
        raise
