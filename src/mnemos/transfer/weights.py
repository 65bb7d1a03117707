"""Weights in an archive: unlike keys and values they cannot be computed again for nothing, so they travel with the texts."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnemos.cube import MemCube
from mnemos.errors import Conflict, InvalidInput, StoreCorrupt
from mnemos.migrate.weight_cubes import FORM, digest_of, weight_cubes, write
from mnemos.store.base import Store
from mnemos.store.blobs import file_name
from mnemos.store.values import WEIGHTS
from mnemos.text.encode.archived import MAX_PARENTS, check_shape
from mnemos.transfer.report import FileReport, Problem
from mnemos.transfer.source import read_member
from mnemos.transfer.take import ERASED

FOLDER = "weights/"  # of the payloads in an archive


def payloads(store: Store) -> Iterator[tuple[MemCube, bytes]]:
    """Yield the weights of a space with their payloads; a damaged or missing one is left out, with a warning."""
    for cube in weight_cubes(store):
        try:
            with store.blobs.local(cube.id) as path:
                data = path.read_bytes()
            if digest_of(data) != cube.metadata.get("digest"):
                raise StoreCorrupt(f"the weights {cube.id} are damaged.")
        except (OSError, StoreCorrupt) as error:
            warnings.warn(f"weights {cube.id} are not exported: {error}", RuntimeWarning, stacklevel=3)
            continue
        yield cube, data


def member(cube_id: str) -> str:
    """Return the name of a payload in an archive. Raises InvalidInput for an id that is no safe file name."""
    return FOLDER + file_name(cube_id)


def restore_weights(
    store: Store, archive: zipfile.ZipFile, rows: Sequence[Mapping[str, Any]], report: FileReport, restore_erased: bool
) -> None:
    """Write the weights of an archive whose texts are there as they were learned; the report says what became of each.

    They are marked as imported: what the file says of them was not measured here, so they are attached only by name until
    they are measured.
    """
    for row in rows:
        report.read += 1
        name = str(row.get("id"))
        try:
            cube = _cube(row, store)
            if not restore_erased and store.was_erased([cube.id]):
                report.problems.append(Problem(name, ERASED))
                continue
            data = read_member(archive, member(cube.id), name)
            if digest_of(data) != cube.metadata.get("digest"):
                raise InvalidInput("the weights are damaged or were changed")
            there = store.get([cube.id]).get(cube.id)
            if there is not None and there.metadata.get("digest") != cube.metadata["digest"]:
                raise InvalidInput("there is a cube of this id already")
            if there is None:
                write(store, cube, data)
                report.added += 1
            else:
                report.skipped += 1
        except (Conflict, InvalidInput) as error:
            report.problems.append(Problem(f"weights {name}", str(error)))


def _cube(row: Mapping[str, Any], store: Store) -> MemCube:
    """Return a cube of weights as an archive has it. Raises InvalidInput for anything else."""
    check_shape({"cube": {**row, "text": WEIGHTS}, "versions": []}, "weights")
    try:
        cube = MemCube.from_dict({**row, "text": "", "space": store.space})
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InvalidInput(f"it is no cube of weights ({error})") from error
    if cube.form != FORM or cube.kind != WEIGHTS or not 0 < len(cube.parents) <= MAX_PARENTS:
        raise InvalidInput("it is no cube of weights")
    about = {**json.loads(json.dumps(dict(cube.metadata))), "imported": True}
    now = store.clock()
    return MemCube(
        id=cube.id, text="", space=store.space, at=min(cube.at, now), learned=min(cube.learned, now), form=FORM, kind=WEIGHTS,
        source="mnemos", parents=cube.parents, metadata=about,
    )  # fmt: skip
