"""Import: tell what a file is, read it, and take what is new in it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.transfer import benchmarks
from mnemos.transfer.archive import is_archive, read_archive, read_weights
from mnemos.transfer.base import ImportTarget, Progress
from mnemos.transfer.detect import FORMATS, Source, one, passed, several
from mnemos.transfer.inputs import Archives, members
from mnemos.transfer.report import FileReport, ImportReport, Problem
from mnemos.transfer.source import open_zip
from mnemos.transfer.take import ERASED, Taking
from mnemos.transfer.times import ZONE
from mnemos.transfer.weights import restore_weights
from mnemos.zones import check_zone


def import_path(
    space: ImportTarget,
    path: Path,
    *,
    format: str | None = None,
    restore_erased: bool = False,
    timezone: str | None = None,
    me: Sequence[str] = (),
    progress: Progress | None = None,
) -> ImportReport:
    """Import a file, a zip or a folder into a space; importing it again adds nothing, and a newer export what is new.

    The format is detected from the content unless `format` names it. A damaged file or an unknown format raises
    InvalidInput and nothing is stored; in a folder it costs that file, and in JSONL a torn line that line. The report says of
    each file how much was read, added, updated and there already, what was left out or could not be imported, and why. New
    messages are stored in one transaction; edited ones get a version each. What was erased from this space is not
    imported, unless `restore_erased`. Times without an offset are told in `timezone` (default: the space's). `me` are the
    names or addresses under which the owner of the space writes in chats of people and in mail: what they sent is the
    user's. A sender of the space's own name is so in any case. `progress` gets the number of texts embedded.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise InvalidInput(f"unknown format {format!r}: use one of {', '.join(FORMATS)}.")
    zone = ZONE.set(space.timezone if timezone is None else check_zone(timezone))
    try:
        with closing(Archives()) as archives:
            return _import(space, path, format, restore_erased, me, progress, archives)
    finally:
        ZONE.reset(zone)


def _import(
    space: ImportTarget,
    path: Path,
    format: str | None,
    restore_erased: bool,
    me: Sequence[str],
    progress: Progress | None,
    archives: Archives,
) -> ImportReport:
    found, left = members(path, archives)
    if path.is_file() and (format == "archive" or (format is None and is_archive(path))):
        return _restore(space, path, restore_erased, progress)
    if path.is_dir() and (format == "beam" or (format is None and benchmarks.is_beam(path))):
        sources = [Source(FileReport(path.name, "beam"), benchmarks.beam(path))]
    elif path.is_dir() or zipfile.is_zipfile(path):
        sources = several(found, path, format)
    else:
        sources = [one(found[0], path, format)]
    taking = Taking(space, restore_erased, me)
    for source in sources:
        taking.read(source.file, source.read)
    taking.write(progress)
    names = dict.fromkeys(source.file.format for source in sources if source.file.format)
    files = [*(source.file for source in sources), *(passed(item.where, item.left_out) for item in left)]
    return ImportReport(", ".join(names), files)


def _restore(space: ImportTarget, path: Path, restore_erased: bool, progress: Progress | None) -> ImportReport:
    records: list[dict[str, Any]] = read_archive(path)
    weights = read_weights(path)
    file = FileReport(path.name, "archive", len(records))
    if not restore_erased:
        ids = [r["cube"]["id"] for r in records]
        erased = space.store.was_erased(ids) - space.store.get(ids).keys()
        file.problems = [Problem(name, ERASED) for name in sorted(erased)]
        records = [r for r, name in zip(records, ids, strict=True) if name not in erased]
    file.added, file.skipped = space.restore(records, progress=progress)
    if weights:
        with open_zip(path) as archive:
            restore_weights(space.store, archive, weights, file, restore_erased)
    return ImportReport("archive", [file])
