"""The tables, and their migrations: forward only, in one transaction under a lock, so that two servers may start at once.

The space leads every key and every index, so that a distributed Postgres can shard by it (see `citus`). One row of `cubes`
is one version of a cube; `seq` numbers the transactions, as in the files of SQLite (`store.sqlite.schema`). Row-level security
is forced on every table with a space: a transaction sees the rows of the space that it has set (see `security`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

from mnemos.distribution import upgrade_command
from mnemos.errors import ForeignFile, NewerFile, StoreError
from mnemos.store.postgres.explain import first_line

Db: TypeAlias = psycopg.Connection[tuple[Any, ...]]
LOCK = 0x4D4E454D  # "MNEM", of the advisory lock under which tables are made
LEAST = 150_000  # Postgres 15
VECTOR = (0, 7)  # the first pgvector with halfvec

_V1 = """
CREATE TABLE spaces (
    space text COLLATE "C" PRIMARY KEY, made bigint NOT NULL, seq bigint NOT NULL DEFAULT 0, last bigint NOT NULL DEFAULT 0,
    writes bigint NOT NULL DEFAULT 0
);
CREATE TABLE meta (space text COLLATE "C", key text COLLATE "C", value text NOT NULL, PRIMARY KEY (space, key));
CREATE TABLE cubes (
    space text COLLATE "C" NOT NULL, n bigint NOT NULL,
    id text COLLATE "C" NOT NULL, version integer NOT NULL,
    form text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, state text COLLATE "C" NOT NULL,
    text text COLLATE "C" NOT NULL,
    session text COLLATE "C", speaker text COLLATE "C", role text COLLATE "C", source text COLLATE "C",
    at bigint NOT NULL, at_offset integer NOT NULL, learned bigint NOT NULL, replaced bigint,
    valid_from bigint, valid_to bigint,
    strength double precision NOT NULL, recalls integer NOT NULL, recalled_at bigint,
    metadata text COLLATE "C" NOT NULL, pinned integer NOT NULL, layer integer NOT NULL, zone text COLLATE "C",
    seq bigint NOT NULL,
    PRIMARY KEY (space, n), UNIQUE (space, id, version)
);
CREATE UNIQUE INDEX cubes_current ON cubes (space, id) WHERE replaced IS NULL;
CREATE INDEX cubes_seq ON cubes (space, seq);
CREATE INDEX cubes_at ON cubes (space, at);
CREATE INDEX cubes_session ON cubes (space, session, at);
CREATE TABLE parents (
    space text COLLATE "C", child text COLLATE "C", parent text COLLATE "C", PRIMARY KEY (space, child, parent)
);
CREATE INDEX parents_parent ON parents (space, parent);
CREATE TABLE words (
    space text COLLATE "C", n bigint, terms text COLLATE "C" NOT NULL, print bigint NOT NULL, PRIMARY KEY (space, n)
);
CREATE INDEX words_print ON words (space, print);
CREATE TABLE dates (
    space text COLLATE "C" NOT NULL, n bigint NOT NULL, start bigint NOT NULL, stop bigint NOT NULL,
    phrase text COLLATE "C" NOT NULL, begin integer NOT NULL, finish integer NOT NULL, granularity text COLLATE "C" NOT NULL,
    relative integer NOT NULL
);
CREATE INDEX dates_n ON dates (space, n);
CREATE INDEX dates_start ON dates (space, start, stop);
CREATE TABLE models (
    space text COLLATE "C", m integer, name text COLLATE "C" NOT NULL, revision text COLLATE "C" NOT NULL,
    dimension integer NOT NULL, PRIMARY KEY (space, m), UNIQUE (space, name, revision, dimension)
);
CREATE TABLE vectors (
    space text COLLATE "C", m integer, n bigint, part integer, vector {vector}.halfvec NOT NULL,
    PRIMARY KEY (space, m, n, part)
);
CREATE INDEX vectors_n ON vectors (space, n);
CREATE TABLE gone (space text COLLATE "C" NOT NULL, seq bigint NOT NULL, n bigint NOT NULL);
CREATE INDEX gone_seq ON gone (space, seq);
CREATE TABLE erased (space text COLLATE "C", id_hash bytea, PRIMARY KEY (space, id_hash));
CREATE TABLE facts (
    space text COLLATE "C", n bigint, i integer, subject text COLLATE "C" NOT NULL, attribute text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL, exclusive integer NOT NULL, negated integer NOT NULL, begin integer NOT NULL,
    stop integer NOT NULL, since bigint NOT NULL, until bigint, ended bigint, ended_by text COLLATE "C",
    PRIMARY KEY (space, n, i)
);
CREATE INDEX facts_about ON facts (space, subject, attribute, n);
CREATE INDEX facts_ended_by ON facts (space, ended_by) WHERE ended_by IS NOT NULL;
CREATE TABLE readings (
    space text COLLATE "C", n bigint, begin integer, stop integer NOT NULL, whose text COLLATE "C",
    attribute text COLLATE "C" NOT NULL, tense text COLLATE "C" NOT NULL, negated integer NOT NULL,
    confidence double precision NOT NULL, PRIMARY KEY (space, n, begin)
);
CREATE INDEX readings_attribute ON readings (space, attribute);
CREATE TABLE links (
    space text COLLATE "C", a text COLLATE "C", b text COLLATE "C", kind text COLLATE "C", weight double precision NOT NULL,
    made bigint NOT NULL, PRIMARY KEY (space, a, kind, b)
);
CREATE INDEX links_b ON links (space, b, kind);
CREATE TABLE decisions (
    space text COLLATE "C", i bigint GENERATED ALWAYS AS IDENTITY, cube text COLLATE "C" NOT NULL, made bigint NOT NULL,
    action text COLLATE "C" NOT NULL, reason text COLLATE "C" NOT NULL, others text COLLATE "C" NOT NULL,
    maker text COLLATE "C" NOT NULL, PRIMARY KEY (space, i)
);
CREATE INDEX decisions_cube ON decisions (space, cube);
CREATE TABLE pending (
    space text COLLATE "C", id text COLLATE "C", tries integer NOT NULL, why text COLLATE "C" NOT NULL,
    PRIMARY KEY (space, id)
);
CREATE TABLE lessons (
    space text COLLATE "C", trigger bytea, mistaken bytea, trust integer, made bigint NOT NULL,
    PRIMARY KEY (space, trigger, mistaken, trust)
);
CREATE TABLE audit (
    space text COLLATE "C", i bigint, made bigint NOT NULL, actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL, cubes integer NOT NULL, digest bytea NOT NULL, chain bytea NOT NULL,
    PRIMARY KEY (space, i)
);
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('mnemos.removing', true) = OLD.space THEN RETURN OLD; END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TABLE set_aside (
    space text COLLATE "C", i bigint GENERATED ALWAYS AS IDENTITY, made bigint NOT NULL, source text COLLATE "C" NOT NULL,
    cube text COLLATE "C", reason text COLLATE "C" NOT NULL, row text COLLATE "C" NOT NULL, PRIMARY KEY (space, i)
);
CREATE INDEX set_aside_cube ON set_aside (space, cube);
CREATE TABLE grants (member text COLLATE "C", space text COLLATE "C", PRIMARY KEY (member, space));
"""

# What servers share, see `server`.
_V2 = """
CREATE TABLE server_keys (id text PRIMARY KEY, name text NOT NULL, salt bytea NOT NULL, hash bytea NOT NULL,
  spaces text[] NOT NULL, rights text[] NOT NULL, made bigint NOT NULL, expires bigint, revoked bigint);
CREATE TABLE server_answers (name bytea PRIMARY KEY, body bytea NOT NULL, made double precision NOT NULL, cubes text);
CREATE INDEX server_answers_made ON server_answers (made);
CREATE TABLE server_chats (key text, root text, at double precision NOT NULL, done boolean NOT NULL,
  n bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (key, root));
CREATE INDEX server_chats_at ON server_chats (at);
CREATE UNLOGGED TABLE server_rates (caller text PRIMARY KEY, tokens double precision NOT NULL,
  taken double precision NOT NULL, at timestamptz NOT NULL);
CREATE TABLE server_secrets (name text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE server_changes (name text PRIMARY KEY, n bigint NOT NULL);
INSERT INTO server_changes VALUES ('keys', 0);
"""

_V3 = 'CREATE TABLE arriving (space text COLLATE "C" PRIMARY KEY)'  # spaces that are being copied here, and not seen

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3)  # add at the end; each runs once, in order
VERSION = len(MIGRATIONS)
SPACE_TABLES = (  # with a column `space`, which leads every key; `spaces` first
    "spaces", "meta", "cubes", "parents", "words", "dates", "models", "vectors", "gone", "erased", "facts", "readings",
    "links", "decisions", "pending", "lessons", "audit", "set_aside",
)  # fmt: skip
_OWN = "space = (SELECT current_setting('mnemos.space', true))"


@dataclass(frozen=True, slots=True)
class State:
    """What opening a database found."""

    read_only: bool
    vector_schema: str  # where pgvector's types are, quoted
    server: str


def prepare(db: Db, where: str, *, read_only: bool = False) -> State:
    """Check a server and bring its tables up to date. Raises StoreError, ForeignFile, NewerFile; then nothing was changed."""
    if db.info.server_version < LEAST:
        raise StoreError(
            f"{where} is Postgres {db.info.server_version // 10_000}; Mnemos needs 15 or later. Upgrade the server."
        )
    encoding = _one(db, "SHOW server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"{where} is in {encoding}, which cannot hold every text. Make a database with ENCODING 'UTF8'."
        )
    fixed = read_only or _one(db, "SHOW transaction_read_only") == "on"
    version = _version(db, where)
    if version < VERSION and fixed:
        raise StoreError(
            f"{where} is read-only and has schema {version} of {VERSION}. Open it once for writing, which makes the tables."
        )
    if version < VERSION:
        _migrate(db, where)
    found = _one(
        db, "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace AS s ON s.oid = extnamespace WHERE extname = %s",
        "vector",
    )  # fmt: skip
    return State(fixed, str(found), str(_one(db, "SHOW server_version")))


def _one(db: Db, query: str, *values: Any) -> Any:
    row = db.execute(query, values or None).fetchone()
    return None if row is None else row[0]


def _version(db: Db, where: str) -> int:
    """Return how many migrations were run. Raises ForeignFile when the schema is somebody else's."""
    there = "SELECT 1 FROM pg_tables WHERE schemaname = 'mnemos' AND tablename = 'migrations'"
    if _one(db, there) is not None:  # to_regclass may not see what was committed while this waited for the lock
        version = int(_one(db, "SELECT coalesce(max(version), 0) FROM mnemos.migrations"))
        if version > VERSION:
            raise NewerFile(
                f"{where} has schema {version}, this Mnemos knows up to {VERSION}. Upgrade Mnemos ({upgrade_command()}) "
                "to open it; it was not changed."
            )
        return version
    if _one(db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'mnemos'"):
        raise ForeignFile(
            f"{where} has a schema `mnemos` that is not of Mnemos. Use another database; it was not changed."
        )
    return 0


def _migrate(db: Db, where: str) -> None:
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))  # a server that starts at the same time waits here
        version = _version(db, where)
        if version == VERSION:
            return
        vector = _vector(db, where)
        try:
            db.execute("CREATE SCHEMA IF NOT EXISTS mnemos")
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreError(
                f"{where}: this user may not make tables ({first_line(error)}). Open the database once as its owner, or let "
                f"the owner run: GRANT CREATE ON DATABASE {db.info.dbname} TO {db.info.user}"
            ) from error
        db.execute("SET LOCAL search_path = mnemos, pg_temp")
        db.execute("CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, at timestamptz DEFAULT now())")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            db.execute(script.replace("{vector}", vector))
            db.execute("INSERT INTO migrations (version) VALUES (%s)", (number,))
        for table in SPACE_TABLES:
            _guard(db, table)


def _guard(db: Db, table: str) -> None:
    """Force row-level security on a table, for its owner too: only the rows of the space that the transaction has set.

    The names of spaces are seen by every user of the tables, but for the members of `security`.
    """
    if _one(db, "SELECT count(*) FROM pg_policies WHERE schemaname = 'mnemos' AND tablename = %s", table):
        return
    db.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    db.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    db.execute(f"CREATE POLICY by_space ON {table} USING ({'true' if table == 'spaces' else _OWN})")


def _vector(db: Db, where: str) -> str:
    """Return the schema of pgvector, which is installed if it may be. Raises StoreError."""
    query = (
        "SELECT quote_ident(nspname), extversion FROM pg_extension JOIN pg_namespace AS s ON s.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    row = db.execute(query).fetchone()
    if row is None:
        if _one(db, "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'") == 0:
            raise StoreError(
                f"{where}: the server has no pgvector. Install it there (package postgresql-NN-pgvector, or the image "
                "pgvector/pgvector) and open the database again. Nothing was changed."
            )
        try:
            db.execute("CREATE EXTENSION vector")
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreError(
                f"{where}: pgvector is on the server and not in this database, and this user may not add it. Let a superuser "
                f"run in {db.info.dbname}: CREATE EXTENSION vector"
            ) from error
        row = db.execute(query).fetchone()
    assert row is not None
    schema, version = str(row[0]), str(row[1])
    if tuple(int(x) for x in version.split(".")[:2] if x.isdigit()) < VECTOR:
        raise StoreError(
            f"{where} has pgvector {version}; Mnemos needs 0.7 or later. Upgrade it on the server and run: ALTER EXTENSION "
            "vector UPDATE"
        )
    return schema
