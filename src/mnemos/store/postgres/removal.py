"""Erase rows: cubes, everything derived from them, and everything stored beside them, inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mnemos.store.hashes import id_hash
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.words import many
from mnemos.store.rows import ID_TABLES, ROW_TABLES

TOUCHED = ("cubes", *ROW_TABLES, "parents", "links", "decisions", "pending", "set_aside")  # which VACUUM cleans then


def family(db: Db, space: str, ids: Sequence[str]) -> list[str]:
    """Return those of the ids that exist, and the ids of all cubes derived from them, in any number of steps."""
    found: dict[str, None] = {}
    queue = list(ids)
    while queue:
        rows = db.execute("SELECT DISTINCT id FROM cubes WHERE space = %s AND id = ANY(%s)", (space, queue))
        exist = {i for (i,) in rows}
        there = [i for i in dict.fromkeys(queue) if i in exist]
        found.update(dict.fromkeys(there))
        children = db.execute(
            "SELECT child FROM parents WHERE space = %s AND parent = ANY(%s) ORDER BY child", (space, there)
        )
        queue = [i for (i,) in children if i not in found]
    return list(found)


def activations(db: Db, space: str, ids: Sequence[str]) -> list[str]:
    """Return the ids of what was computed from these cubes and is no text: keys and values, tunings, but no weights."""
    sql = "SELECT id FROM cubes WHERE space = %s AND form != 'text' AND kind != 'carrier' AND id = ANY(%s)"
    return [i for (i,) in db.execute(sql, (space, family(db, space, ids)))]


def remove(db: Db, space: str, names: Sequence[str], seq: int) -> set[str]:
    """Remove all versions of these cubes and every trace of their ids except a hash; return the tables that had any.

    What they had superseded holds again, unless something else supersedes it too.
    """
    ids = list(names)
    revive(db, space, ids, seq)
    rows = db.execute("SELECT n FROM cubes WHERE space = %s AND id = ANY(%s)", (space, ids)).fetchall()
    touched = {"facts", *delete_rows(db, space, [n for (n,) in rows], seq)}
    for table, column in ID_TABLES:
        if db.execute(f"DELETE FROM {table} WHERE space = %s AND {column} = ANY(%s)", (space, ids)).rowcount:
            touched.add(table)
    _drop_mentions(db, space, set(ids))
    many(
        db,
        "INSERT INTO erased (space, id_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [(space, id_hash(i)) for i in ids],
    )
    return touched


def traces(db: Db, space: str, names: Sequence[str]) -> int:
    """Return how often links, decisions, the queue and facts name these ids."""
    counts = " + ".join(
        f"(SELECT count(*) FROM {table} WHERE space = %s AND {column} = ANY(%s))"
        for table, column in (*ID_TABLES, ("facts", "ended_by"))
    )
    row = db.execute(f"SELECT {counts}", [space, list(names)] * (len(ID_TABLES) + 1)).fetchone()
    return 0 if row is None else int(row[0])


def revive(db: Db, space: str, names: list[str], seq: int) -> None:
    """Undo what these cubes ended: facts hold again, and cubes that they alone superseded are active again."""
    rows = db.execute(
        "WITH ended AS (UPDATE facts SET until = NULL, ended = NULL, ended_by = NULL WHERE space = %s AND ended_by = ANY(%s) "
        "RETURNING space, n) SELECT DISTINCT id FROM ended JOIN cubes USING (space, n) ORDER BY id",
        (space, names),
    ).fetchall()
    erased = set(names)
    freed = [i for (i,) in rows if i not in erased]
    _end_again(db, space, freed, erased)
    for name in freed:
        row = db.execute(
            "SELECT n, version, (SELECT count(*) FROM facts AS f WHERE f.space = cubes.space AND f.n = cubes.n "
            "AND ended IS NOT NULL) FROM cubes WHERE space = %s AND id = %s AND replaced IS NULL AND state = 'superseded'",
            (space, name),
        ).fetchone()
        if row is None or row[2]:
            continue
        n, version, _ = row
        if version > 1:  # the version that was superseded is removed, and the one before it is current again
            delete_rows(db, space, [n], seq)
            db.execute(
                "UPDATE cubes SET replaced = NULL, seq = %s WHERE space = %s AND id = %s AND version = %s",
                (seq, space, name, version - 1),
            )
        else:  # it was superseded when it was written
            db.execute(
                "UPDATE cubes SET state = 'active', valid_to = NULL, seq = %s WHERE space = %s AND n = %s",
                (seq, space, n),
            )


def _end_again(db: Db, space: str, names: Sequence[str], erased: set[str]) -> None:
    """End the facts of these cubes by what else supersedes them: the first of the statements that are left."""
    if not names:
        return
    found = db.execute(
        "SELECT old.n, old.i, greatest(old.since, new.since), later.learned, later.id FROM facts AS old "
        "JOIN cubes AS c ON c.space = old.space AND c.n = old.n AND c.replaced IS NULL "
        "JOIN links ON links.space = old.space AND b = c.id AND links.kind = 'supersedes' "
        "JOIN cubes AS later ON later.space = old.space AND later.id = a AND later.replaced IS NULL "
        "JOIN facts AS new ON new.space = old.space AND new.n = later.n "
        "AND new.subject = old.subject AND new.attribute = old.attribute WHERE old.space = %s AND old.ended IS NULL "
        "AND (new.value != old.value OR new.negated != old.negated) AND c.id = ANY(%s) ORDER BY 3 DESC",
        (space, list(names)),
    ).fetchall()
    for n, i, until, learned, by in found:  # the earliest end is written last
        if by not in erased:
            db.execute(
                "UPDATE facts SET until = %s, ended = %s, ended_by = %s WHERE space = %s AND n = %s AND i = %s",
                (until, learned, by, space, n, i),
            )


def delete_rows(db: Db, space: str, keys: Sequence[int], seq: int) -> set[str]:
    """Delete versions with what is stored beside them, and tell readers that they are gone; see `Cubes.changes`.

    Returns the tables that had any.
    """
    delete = "DELETE FROM {} WHERE space = %s AND n = ANY(%s::bigint[])"
    tables = (*ROW_TABLES, "cubes")
    touched = {table for table in tables if db.execute(delete.format(table), (space, list(keys))).rowcount}
    many(db, "INSERT INTO gone (space, seq, n) VALUES (%s, %s, %s)", [(space, seq, n) for n in keys])
    return touched


def _drop_mentions(db: Db, space: str, names: set[str]) -> None:
    """Remove the ids from decisions about other cubes."""
    rows = db.execute("SELECT i, others FROM decisions WHERE space = %s AND others != '[]'", (space,)).fetchall()
    for i, others in rows:
        ids = [str(name) for name in json.loads(others)]
        kept = [name for name in ids if name not in names]
        if len(kept) != len(ids):
            db.execute("UPDATE decisions SET others = %s WHERE space = %s AND i = %s", (json.dumps(kept), space, i))
