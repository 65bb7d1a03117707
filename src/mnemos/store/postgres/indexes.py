"""The indexes of a large space: GIN over its terms, and HNSW over its vectors of each model. Made in the background.

They are partial (WHERE space = ...), since neither kind can have the space in front: an index over all spaces would be searched
through the neighbours of strangers. Making them takes minutes for a million versions; until then, and where the user of the
database does not own the tables, the rows are read. `drop` removes them with the space.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from mnemos.errors import StoreError
from mnemos.store.postgres.connection import Connection, lock_key
from mnemos.store.postgres.database import Database, Db

LEAST = 20_000  # versions of a space from which indexes are faster than reading
WIDEST = 4_000  # dimensions that pgvector's HNSW takes as half floats
MEMORY = "512MB"  # for building: a graph that does not fit is built at a tenth of the speed
_made: set[tuple[str, str]] = set()  # (database, space) that this process has looked after
_lock = threading.Lock()


def ensure(connection: Connection) -> None:
    """See, once in this process, that a large space has its indexes; they are made in another thread."""
    database, space = connection.database, connection.space
    key = (database.options.conninfo, space)
    with _lock:
        if key in _made or database.read_only:
            return
        _made.add(key)
    threading.Thread(target=_make_quietly, args=(database, space), daemon=True).start()


def _make_quietly(database: Database, space: str) -> None:
    try:
        make(database, space)
    except StoreError:  # not the owner, or the server is gone: searches read the rows
        return


def make(database: Database, space: str, *, least: int = LEAST) -> list[str]:
    """Make the indexes that a space of at least `least` versions lacks; return their names. Others may write meanwhile.

    One process at a time. Raises StoreError.
    """
    with Connection(database, space).read() as db:
        row = db.execute("SELECT last FROM spaces WHERE space = %s", (space,)).fetchone()
        models = db.execute("SELECT m, dimension FROM models WHERE space = %s", (space,)).fetchall()
    if row is None or row[0] < least:
        return []
    made = []
    with database.direct() as db, _alone(db, space) as alone:
        if not alone:
            return []
        if database.prepare:  # else a pooler would leave the setting to others
            db.execute(f"SET maintenance_work_mem = '{MEMORY}'")
        made += _make(db, name_of(space), "words", "gin (string_to_array(terms, ' '))", space, None)
        for m, dimension in models:
            if dimension <= WIDEST:
                how = f"hnsw ((vector::{database.state.vector_schema}.halfvec({int(dimension)})) halfvec_cosine_ops)"
                made += _make(db, name_of(space, m), "vectors", how, space, m)
        if made:
            db.execute("ANALYZE mnemos.words, mnemos.vectors")
    return made


@contextmanager
def _alone(db: Db, space: str) -> Iterator[bool]:
    """Hold the lock under which indexes of a space are made, if it is free; yield whether."""
    key = lock_key(f"indexes of {space}")
    row = db.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
    held = row is not None and bool(row[0])
    try:
        yield held
    finally:
        if held:
            db.execute("SELECT pg_advisory_unlock(%s)", (key,))


def drop(db: Db, space: str) -> None:
    """Drop the indexes of a space."""
    rows = db.execute(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'mnemos' AND starts_with(indexname, %s)", (name_of(space),)
    ).fetchall()
    for (name,) in rows:
        db.execute(sql.SQL("DROP INDEX IF EXISTS mnemos.{}").format(sql.Identifier(name)))


def name_of(space: str, model: int | None = None) -> str:
    """Return the name of an index of a space, without the name of the space in it."""
    stem = "space_" + hashlib.blake2b(space.encode(), digest_size=12, person=b"mnemos").hexdigest()
    return stem if model is None else f"{stem}_{model}"


def common_terms(db: Db, space: str) -> dict[str, float]:
    """Return the shares of the most frequent terms of a space, as the server has counted in a sample. One query.

    Empty where the space has no index of terms, or was never analysed.
    """
    rows = db.execute(
        "SELECT unnest(most_common_elems::text::text[]), "
        "unnest(most_common_elem_freqs[1:cardinality(most_common_elem_freqs) - 3]) "
        "FROM pg_stats WHERE schemaname = 'mnemos' AND tablename = %s",
        (name_of(space),),
    ).fetchall()
    return {str(term): float(share) for term, share in rows if term is not None and share is not None}


def _make(db: Db, name: str, table: str, how: str, space: str, model: int | None) -> list[str]:
    valid = db.execute(
        "SELECT indisvalid FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_namespace AS s "
        "ON s.oid = c.relnamespace WHERE s.nspname = 'mnemos' AND c.relname = %s",
        (name,),
    ).fetchone()
    if valid is not None and valid[0]:
        return []
    index = sql.Identifier(name)
    if valid is not None:  # the making was broken off
        db.execute(sql.SQL("DROP INDEX mnemos.{}").format(index))
    where = sql.SQL("space = {}").format(sql.Literal(space))
    if model is not None:
        where += sql.SQL(" AND m = {}").format(sql.Literal(model))
    db.execute(
        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} USING {} WHERE {}").format(
            index, sql.SQL(f"mnemos.{table}"), sql.SQL(how), where
        )
    )
    return [name]
