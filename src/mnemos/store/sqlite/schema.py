"""The schema of a space's file, and its migrations (run by sqlite-utils).

One row of `cubes` is one version of a cube. `seq` numbers the transactions: a reader that has seen `seq` N asks for rows
above N, and for the keys in `gone`, to catch up with other processes.
"""

from __future__ import annotations

import sqlite3

from mnemos.distribution import upgrade_command
from mnemos.errors import ForeignFile, NewerFile
from mnemos.store.hashes import text_hash
from mnemos.store.sqlite.terms import renew_terms

APPLICATION_ID = 0x4D4E454D  # "MNEM"
VERSION = 7

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

# Facts, links, decisions, the queue, rejections, and the audit log.
_V2 = """
ALTER TABLE cubes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cubes ADD COLUMN layer INTEGER NOT NULL DEFAULT 0;
ALTER TABLE words ADD COLUMN print INTEGER;
CREATE INDEX words_print ON words (print);
CREATE TABLE facts (
    n INTEGER NOT NULL, i INTEGER NOT NULL, subject TEXT NOT NULL, attribute TEXT NOT NULL, value TEXT NOT NULL,
    exclusive INTEGER NOT NULL, negated INTEGER NOT NULL, begin INTEGER NOT NULL, stop INTEGER NOT NULL,
    since INTEGER NOT NULL, until INTEGER, ended INTEGER, ended_by TEXT, PRIMARY KEY (n, i)
) WITHOUT ROWID;
CREATE INDEX facts_about ON facts (subject, attribute);
CREATE INDEX facts_ended_by ON facts (ended_by) WHERE ended_by IS NOT NULL;
CREATE TABLE links (
    a TEXT NOT NULL, b TEXT NOT NULL, kind TEXT NOT NULL, weight REAL NOT NULL, made INTEGER NOT NULL,
    PRIMARY KEY (a, kind, b)
) WITHOUT ROWID;
CREATE INDEX links_b ON links (b, kind);
CREATE TABLE decisions (
    cube TEXT NOT NULL, made INTEGER NOT NULL, action TEXT NOT NULL, reason TEXT NOT NULL, others TEXT NOT NULL,
    maker TEXT NOT NULL
);
CREATE INDEX decisions_cube ON decisions (cube);
CREATE TABLE pending (id TEXT PRIMARY KEY, tries INTEGER NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lessons (
    trigger BLOB NOT NULL, mistaken BLOB NOT NULL, trust INTEGER NOT NULL, made INTEGER NOT NULL,
    PRIMARY KEY (trigger, mistaken, trust)
) WITHOUT ROWID;
CREATE TABLE audit (
    i INTEGER PRIMARY KEY, made INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, cubes INTEGER NOT NULL,
    digest BLOB NOT NULL, chain BLOB NOT NULL
);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
INSERT INTO pending SELECT id, 0, 'written before facts were kept' FROM cubes WHERE replaced IS NULL;
UPDATE words SET print = (SELECT text_hash(text) FROM cubes WHERE cubes.n = words.n);
"""

_V3 = "UPDATE links SET kind = 'co-recalled' WHERE kind = 'recalled with';\n"

# Damaged rows that `doctor --repair` took out of the other tables.
_V4 = """
CREATE TABLE set_aside (
    i INTEGER PRIMARY KEY, made INTEGER NOT NULL, source TEXT NOT NULL, cube TEXT, reason TEXT NOT NULL, row TEXT NOT NULL
);
CREATE INDEX set_aside_cube ON set_aside (cube);
"""

_V5 = "ALTER TABLE cubes ADD COLUMN zone TEXT;\n"  # where `at` was told; its offset was kept from the start

# What small heads read in a text; it is listed, and ends nothing.
_V7 = """
CREATE TABLE readings (
    n INTEGER NOT NULL, begin INTEGER NOT NULL, stop INTEGER NOT NULL, whose TEXT, attribute TEXT NOT NULL,
    tense TEXT NOT NULL, negated INTEGER NOT NULL, confidence REAL NOT NULL, PRIMARY KEY (n, begin)
) WITHOUT ROWID;
CREATE INDEX readings_attribute ON readings (attribute);
"""


def migrate(connection: sqlite3.Connection, space: str, where: str) -> None:
    """Bring the file to the current schema, or raise `ForeignFile`/`NewerFile` and change nothing.

    Safe when several processes open the same new file at once: the first one migrates.
    """
    from sqlite_utils import Database, Migrations  # slow to import, and only a new or old file needs it

    migrations = Migrations("mnemos")

    @migrations(name="0001_first_schema")
    def _first(db: Database) -> None:
        _run(db.conn, _V1)
        db.conn.execute("INSERT INTO meta VALUES ('space', ?)", (space,))

    @migrations(name="0002_life")
    def _second(db: Database) -> None:
        db.conn.create_function("text_hash", 1, text_hash, deterministic=True)
        _run(db.conn, _V2)

    @migrations(name="0003_co_recalled")
    def _third(db: Database) -> None:
        _run(db.conn, _V3)

    @migrations(name="0004_set_aside")
    def _fourth(db: Database) -> None:
        _run(db.conn, _V4)

    @migrations(name="0005_zone")
    def _fifth(db: Database) -> None:
        _run(db.conn, _V5)

    @migrations(name="0006_terms")
    def _sixth(db: Database) -> None:
        renew_terms(db.conn)

    @migrations(name="0007_readings")
    def _seventh(db: Database) -> None:
        _run(db.conn, _V7)

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


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run statements one by one, since `executescript` would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def check(connection: sqlite3.Connection, where: str) -> int:
    """Return the file's schema version (0 when it is empty). Raises `ForeignFile` or `NewerFile`; changes nothing."""
    connection.execute("BEGIN")  # another process may be making the schema: all of it is seen, or nothing
    try:
        return _check(connection, where)
    finally:
        if connection.in_transaction:  # SQLite itself ends it on some errors, such as a full disk
            connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection, where: str) -> int:
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
            f"({upgrade_command()}) to open it; it was not changed."
        )
    _refuse_triggers(connection, where)
    return version


def _refuse_triggers(connection: sqlite3.Connection, where: str) -> None:
    """Refuse a file with triggers or views that no space has: they would rewrite what is stored from now on."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')")
    for kind, name, definition in rows:
        if f"{definition};" not in _V2:
            raise ForeignFile(
                f"{where} has the {kind} {name!r}, which no space of Mnemos has and which could change what is stored. "
                "Move the file away and bring its memories in with `mnemos restore FILE`, which leaves that out."
            )
