"""Erase rows: cubes, everything derived from them, and everything stored beside them, inside one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from mnemos.store.hashes import id_hash
from mnemos.store.rows import ID_TABLES, ROW_TABLES
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import chunks, marks, select_in

STEP = 64  # pages that are given back at once


def family(db: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Return those of the ids that exist, and the ids of all cubes derived from them, in any number of steps."""
    found: dict[str, None] = {}
    queue = list(ids)
    while queue:
        there = [r[0] for r in select_in(db, "SELECT DISTINCT id FROM cubes WHERE id IN ({})", queue)]
        found.update(dict.fromkeys(there))
        children = select_in(db, "SELECT child FROM parents WHERE parent IN ({})", there)
        queue = [r[0] for r in children if r[0] not in found]
    return list(found)


def activations(db: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Return the ids of what was computed from these cubes and is no text: keys and values, tunings, but no weights."""
    sql = "SELECT id FROM cubes WHERE form != 'text' AND kind != 'carrier' AND id IN ({})"
    return [r[0] for r in select_in(db, sql, family(db, ids))]


def remove(db: sqlite3.Connection, names: Sequence[str], seq: int) -> int:
    """Remove all versions of these cubes and every trace of their ids except a hash; return the number of versions.

    What they had superseded holds again, unless something else supersedes it too.
    """
    revive(db, names, seq)
    keys = [r[0] for r in select_in(db, "SELECT n FROM cubes WHERE id IN ({})", names)]
    _delete_rows(db, keys, seq)
    for part in chunks(names):
        for table, column in ID_TABLES:
            db.execute(f"DELETE FROM {table} WHERE {column} IN ({marks(part)})", part)
    _drop_mentions(db, set(names))
    db.executemany("INSERT OR IGNORE INTO erased VALUES (?)", ((id_hash(name),) for name in names))
    return len(keys)


def shrink(db: sqlite3.Connection) -> None:
    """Give free pages at the end of the file back to the disk, a few at a time, so that little room is needed.

    Files made before version 4 keep theirs until a VACUUM; new rows use them.
    """
    before = -1
    while (free := db.execute("PRAGMA freelist_count").fetchone()[0]) and free != before:
        before = free
        db.execute(f"PRAGMA incremental_vacuum({STEP})").fetchall()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def traces(db: sqlite3.Connection, names: Sequence[str]) -> int:
    """Return how often links, decisions, the queue and facts name these ids."""
    found = [select_in(db, f"SELECT 1 FROM {table} WHERE {column} IN ({{}})", names) for table, column in ID_TABLES]
    return sum(map(len, found)) + len(select_in(db, "SELECT 1 FROM facts WHERE ended_by IN ({})", names))


def revive(db: sqlite3.Connection, names: Sequence[str], seq: int) -> None:
    """Undo what these cubes ended: facts hold again, and cubes that they alone superseded are active again."""
    ended = select_in(db, "SELECT DISTINCT cubes.id FROM facts JOIN cubes USING (n) WHERE ended_by IN ({})", names)
    for part in chunks(names):
        db.execute(
            f"UPDATE facts SET until = NULL, ended = NULL, ended_by = NULL WHERE ended_by IN ({marks(part)})", part
        )
    erased = set(names)
    _end_again(db, [name for (name,) in ended if name not in erased], erased)
    for (name,) in ended:
        if name in erased:
            continue
        row = db.execute(
            "SELECT n, version, (SELECT count(*) FROM facts WHERE facts.n = cubes.n AND ended IS NOT NULL) FROM cubes "
            "WHERE id = ? AND replaced IS NULL AND state = 'superseded'",
            (name,),
        ).fetchone()
        if row is None or row[2]:
            continue
        n, version, _ = row
        if version > 1:  # the version that was superseded is removed, and the one before it is current again
            _delete_rows(db, [n], seq)
            db.execute(
                "UPDATE cubes SET replaced = NULL, seq = ? WHERE id = ? AND version = ?", (seq, name, version - 1)
            )
        else:  # it was superseded when it was written
            db.execute("UPDATE cubes SET state = 'active', valid_to = NULL, seq = ? WHERE n = ?", (seq, n))


def _end_again(db: sqlite3.Connection, names: Sequence[str], erased: set[str]) -> None:
    """End the facts of these cubes by what else supersedes them: the first of the statements that are left."""
    found = select_in(
        db,
        "SELECT old.n, old.i, max(old.since, new.since), later.learned, later.id FROM facts AS old "
        "JOIN cubes ON cubes.n = old.n AND cubes.replaced IS NULL JOIN links ON b = cubes.id AND links.kind = 'supersedes' "
        "JOIN cubes AS later ON later.id = a AND later.replaced IS NULL JOIN facts AS new ON new.n = later.n "
        "AND new.subject = old.subject AND new.attribute = old.attribute WHERE old.ended IS NULL "
        "AND (new.value != old.value OR new.negated != old.negated) AND cubes.id IN ({}) ORDER BY 3 DESC",
        names,
    )
    for n, i, until, learned, by in found:  # the earliest end is written last
        if by not in erased:
            db.execute(
                "UPDATE facts SET until = ?, ended = ?, ended_by = ? WHERE n = ? AND i = ?", (until, learned, by, n, i)
            )


def _delete_rows(db: sqlite3.Connection, keys: Sequence[int], seq: int) -> None:
    for part in chunks(keys):
        for table in (*ROW_TABLES, "cubes"):
            db.execute(f"DELETE FROM {table} WHERE n IN ({marks(part)})", part)
    mark_gone(db, seq, keys)


def mark_gone(db: sqlite3.Connection, seq: int, keys: Sequence[int]) -> None:
    """Tell readers that these versions are gone; see `Cubes.changes`."""
    db.executemany("INSERT INTO gone VALUES (?, ?)", ((seq, n) for n in keys))


def _drop_mentions(db: sqlite3.Connection, names: set[str]) -> None:
    """Remove the ids from decisions about other cubes."""
    for rowid, others in fetch(db, "SELECT rowid, others FROM decisions WHERE others != '[]'"):
        try:
            ids = [str(i) for i in json.loads(others)]
        except (TypeError, ValueError):  # damaged: whether it names one of the ids cannot be read
            if any(name in repr(others) for name in names):
                db.execute("DELETE FROM decisions WHERE rowid = ?", (rowid,))
            continue
        kept = [i for i in ids if i not in names]
        if len(kept) != len(ids):
            db.execute("UPDATE decisions SET others = ? WHERE rowid = ?", (json.dumps(kept), rowid))
