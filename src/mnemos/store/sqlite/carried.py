"""The payloads of weights in a backup: unlike keys and values they cannot be computed again for nothing.

They are in one more table of the file, `payloads`, which a space does not have and a restore takes out again.
"""

from __future__ import annotations

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

from mnemos.errors import InvalidInput, StoreCorrupt
from mnemos.store.blobs import Blobs, FileBlobs
from mnemos.store.values import WEIGHTS

CURRENT = "SELECT id FROM cubes WHERE kind = ? AND replaced IS NULL ORDER BY id"


def pack(path: Path, blobs: Blobs) -> None:
    """Put the payloads of a copy's weights into the file; one that is missing is left out, with a warning. O(bytes)."""
    with closing(sqlite3.connect(path)) as db:
        if not (ids := [str(row[0]) for row in db.execute(CURRENT, (WEIGHTS,))]):
            return
        db.execute("CREATE TABLE payloads (id TEXT PRIMARY KEY, data BLOB NOT NULL)")
        for cube_id in ids:
            try:
                with blobs.local(cube_id) as file:
                    db.execute("INSERT INTO payloads VALUES (?, ?)", (cube_id, file.read_bytes()))
            except (InvalidInput, StoreCorrupt) as error:
                warnings.warn(f"the backup is without weights {cube_id}: {error}", RuntimeWarning, stacklevel=2)
        db.commit()


def unpack(path: Path, into: FileBlobs, *, trusted: bool) -> list[str]:
    """Take the payloads out of a copy of a backup, into a folder; return what was left out, in words.

    What a file from elsewhere says of its weights was not measured here: unless it is `trusted` they are marked as imported,
    and so attached only by name until they are measured.
    """
    with closing(sqlite3.connect(path)) as db:
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            ids = {str(row[0]) for row in db.execute(CURRENT, (WEIGHTS,))}
            there = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'payloads'").fetchone()
            for cube_id, data in db.execute("SELECT id, data FROM payloads") if there else ():
                if cube_id in ids and isinstance(data, bytes):
                    into.write(cube_id, data)
            if there:
                db.execute("DROP TABLE payloads")
            if ids and not trusted:
                imported = "json_set(metadata, '$.imported', json('true'))"
                db.execute(
                    f"UPDATE cubes SET metadata = {imported} WHERE kind = ? AND json_valid(metadata)", (WEIGHTS,)
                )
            db.commit()
        except sqlite3.Error as error:
            raise StoreCorrupt(f"its weights cannot be read ({error}). Nothing was restored.") from error
    told = "weights were measured elsewhere: they are attached by name only until they are measured here; their trust"
    return [] if trusted or not ids else [f"{len(ids)} {told}"]
