"""The schema of a space's file and its migrations (run by sqlite-utils).

One row of `cubes` is one version of a cube. `seq` numbers the transactions: a reader that has
seen `seq` N asks for rows above N, and for the keys in `gone`, to catch up with other processes.
"""

from __future__ import annotations

import sqlite3

from mnemos.errors import ForeignFile, NewerFile

APPLICATION_ID = 0x4D4E454D  # "MNEM"
VERSION = 1

_V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE counter (seq INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE cubes (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    form TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    text TEXT NOT NULL,
    session TEXT, speaker TEXT, role TEXT, source TEXT,
    at INTEGER NOT NULL, at_offset INTEGER NOT NULL,
    learned INTEGER NOT NULL, replaced INTEGER,
    valid_from INTEGER, valid_to INTEGER,
    strength REAL NOT NULL, recalls INTEGER NOT NULL, recalled_at INTEGER,
    metadata TEXT NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (id, version)
);
CREATE UNIQUE INDEX cubes_current ON cubes (id) WHERE replaced IS NULL;
CREATE INDEX cubes_seq ON cubes (seq);
CREATE INDEX cubes_at ON cubes (at);
CREATE INDEX cubes_session ON cubes (session, at);
CREATE TABLE parents (child TEXT NOT NULL, parent TEXT NOT NULL, PRIMARY KEY (child, parent)) WITHOUT ROWID;
CREATE INDEX parents_parent ON parents (parent);
CREATE TABLE words (n INTEGER PRIMARY KEY, terms TEXT NOT NULL);
CREATE TABLE dates (
    n INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    phrase TEXT NOT NULL, begin INTEGER NOT NULL, end INTEGER NOT NULL, granularity TEXT NOT NULL,
    relative INTEGER NOT NULL
);
CREATE INDEX dates_n ON dates (n);
CREATE INDEX dates_start ON dates (start, stop);
CREATE TABLE models (
    m INTEGER PRIMARY KEY, name TEXT NOT NULL, revision TEXT NOT NULL, dimension INTEGER NOT NULL,
    UNIQUE (name, revision, dimension)
);
CREATE TABLE vectors (
    m INTEGER NOT NULL, n INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (m, n)
) WITHOUT ROWID;
CREATE INDEX vectors_n ON vectors (n);
CREATE TABLE gone (seq INTEGER NOT NULL, n INTEGER NOT NULL);
CREATE INDEX gone_seq ON gone (seq);
CREATE TABLE erased (id_hash BLOB PRIMARY KEY) WITHOUT ROWID;
"""


def migrate(connection: sqlite3.Connection, space: str, where: str) -> None:
    """Bring the file to the current schema, or raise `ForeignFile`/`NewerFile` and change nothing.

    Safe when several processes open the same new file at once: the first one migrates.
    """
    if _check(connection, where) == VERSION:
        return
    from sqlite_utils import Database, Migrations  # slow to import, and only a new or old file needs it

    migrations = Migrations("mnemos")

    @migrations(name="0001_first_schema")
    def _first(db: Database) -> None:
        for statement in _V1.split(";"):  # executescript would commit the transaction
            if statement.strip():
                db.conn.execute(statement)
        db.conn.execute("INSERT INTO meta VALUES ('space', ?)", (space,))

    connection.execute("BEGIN IMMEDIATE")
    try:
        if _check(connection, where) != VERSION:
            migrations.apply(Database(connection, execute_plugins=False))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check(connection: sqlite3.Connection, where: str) -> int:
    """Return the file's schema version (0 when it is empty)."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise ForeignFile(
            f"{where} is an SQLite file but not a Mnemos space. Move it away or choose another root; "
            "it was not changed."
        )
    if version > VERSION:
        raise NewerFile(
            f"{where} has schema {version}, this Mnemos knows up to {VERSION}. Upgrade Mnemos "
            "(pip install -U mnemos) to open it; it was not changed."
        )
    return version
