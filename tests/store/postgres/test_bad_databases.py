"""A database that does not do what is asked says why and what to do, and nothing is lost."""

from __future__ import annotations

import threading

import psycopg
import pytest

from mnemos.errors import ForeignFile, NewerFile, ReadOnly, StoreBusy, StoreCorrupt, StoreError, StoreFull
from mnemos.store.postgres import connection, schema
from mnemos.store.postgres.database import Database
from tests.contracts.stores import cube, put
from tests.store.postgres.pooler import Pooler
from tests.store.postgres.stores import opened


def run(url, *statements):
    with psycopg.connect(url, autocommit=True) as db:
        for statement in statements:
            db.execute(statement)


def name_of(url):
    return url.rpartition("/")[2] if "?" not in url else url.partition("?")[0].rpartition("/")[2]


# -- opening


def test_a_server_without_pgvector(postgres_url):
    run(
        postgres_url,
        "DROP EXTENSION vector",
        f"ALTER DATABASE {name_of(postgres_url)} SET extension_control_path = '/no'",
    )
    with pytest.raises(StoreError, match="package postgresql-NN-pgvector"):
        Database(postgres_url)


def test_a_database_where_pgvector_may_not_be_added(postgres_server, postgres_url):
    run(postgres_url, "DROP EXTENSION vector", "CREATE ROLE guest1 LOGIN")
    with pytest.raises(StoreError, match="Let a superuser run"):
        Database(postgres_url.replace("//postgres@", "//guest1@"))
    Database(postgres_url).close()  # who may add it does


def test_an_old_server_and_one_with_an_old_pgvector(postgres_url, monkeypatch):
    monkeypatch.setattr(schema, "LEAST", 990_000)
    with pytest.raises(StoreError, match="needs 15 or later"):
        Database(postgres_url)
    monkeypatch.undo()
    monkeypatch.setattr(schema, "VECTOR", (99, 0))
    with pytest.raises(StoreError, match="ALTER EXTENSION vector UPDATE"):
        Database(postgres_url)


def test_a_role_without_rights(postgres_url, tmp_path):
    run(postgres_url, "CREATE ROLE guest2 LOGIN")
    guest = postgres_url.replace("//postgres@", "//guest2@")
    with pytest.raises(StoreError, match=r"GRANT CREATE ON DATABASE \w+ TO guest2"):
        Database(guest)
    Database(postgres_url).close()
    with pytest.raises(StoreError, match="lacks a right"):
        Database(guest)
    run(postgres_url, "GRANT USAGE ON SCHEMA mnemos TO guest2", "GRANT SELECT ON ALL TABLES IN SCHEMA mnemos TO guest2")
    with opened(postgres_url, tmp_path, "s"), opened(guest, tmp_path, "s", make=False) as (store,):
        assert store.get(["a"]) == {}
        with pytest.raises(StoreError, match="lacks a right"):
            put(store, cube("a"))


def test_a_schema_of_somebody_else_and_of_a_newer_mnemos(postgres_url):
    run(postgres_url, "CREATE SCHEMA mnemos", "CREATE TABLE mnemos.cubes (id text)")
    with pytest.raises(ForeignFile, match="not of Mnemos"):
        Database(postgres_url)
    run(postgres_url, "DROP SCHEMA mnemos CASCADE")
    Database(postgres_url).close()
    run(postgres_url, "INSERT INTO mnemos.migrations VALUES (99)")
    with pytest.raises(NewerFile, match="Upgrade Mnemos"):
        Database(postgres_url)


def test_a_database_in_another_encoding(postgres_server):
    run(postgres_server.url(), "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(StoreError, match="ENCODING 'UTF8'"):
        Database(postgres_server.url("latin"))
    run(postgres_server.url(), "DROP DATABASE latin")


def test_two_servers_that_start_at_once_make_the_tables_once(postgres_url):
    found, start = [], threading.Barrier(4)

    def begin():
        start.wait()
        try:
            found.append(Database(postgres_url).state.server)
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    with psycopg.connect(postgres_url) as db:
        rows = db.execute("SELECT version FROM mnemos.migrations ORDER BY 1").fetchall()
    assert [v for (v,) in rows] == list(range(1, schema.VERSION + 1))


# -- reading and writing


def test_a_read_only_database_is_read(postgres_url, tmp_path):
    with opened(postgres_url, tmp_path, "s") as (store,):
        put(store, cube("a"))
        run(postgres_url, f"ALTER DATABASE {name_of(postgres_url)} SET default_transaction_read_only = on")
        with opened(postgres_url, tmp_path, "s", make=False) as (again,):
            assert again.read_only
            assert again.get(["a"])
            with pytest.raises(ReadOnly, match="primary"):
                put(again, cube("b"))
        with opened(postgres_url, tmp_path, "s", make=False, read_only=True) as (again,):
            assert again.get(["a"])
            with pytest.raises(ReadOnly, match="read_only=True"):
                again.erase(["a"])


def test_a_read_only_database_without_tables(postgres_url):
    run(postgres_url, f"ALTER DATABASE {name_of(postgres_url)} SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match="Open it once for writing"):
        Database(postgres_url)


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", StoreFull, "Make room"),  # as the server itself says it when its disk is full
        ("58030", StoreError, "Check the disk"),
        ("XX001", StoreCorrupt, "pg_amcheck"),
        ("25006", ReadOnly, "primary"),
    ],
)
def test_a_failing_server_undoes_the_whole_write(postgres_url, tmp_path, state, kind, words):
    fail = (
        "CREATE FUNCTION mnemos.fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END $$"
    )
    with opened(postgres_url, tmp_path, "s") as (store,):
        put(store, cube("a"))
        before = store.changes(0, None)
        run(
            postgres_url,
            fail,
            "CREATE TRIGGER fail BEFORE INSERT ON mnemos.words FOR EACH ROW EXECUTE FUNCTION mnemos.fail()",
        )
        with pytest.raises(kind, match=words):
            put(store, cube("b"), cube("c"))
        assert store.changes(0, None) == before
        assert store.audit.verify() == (1, [])
        run(postgres_url, "DROP TRIGGER fail ON mnemos.words")
        put(store, cube("b"))
        assert store.get(["a", "b", "c"]).keys() == {"a", "b"}


def test_a_write_that_is_cut_off_leaves_nothing_and_the_next_one_works(postgres_url, tmp_path):
    def cut_off(store):
        with store.transaction():
            put(store, cube("b"))
            with store.connection.write() as db:
                pid = db.info.backend_pid
            run(postgres_url, f"SELECT pg_terminate_backend({pid}, 5000)")
            put(store, cube("c"))

    with opened(postgres_url, tmp_path, "s") as (store,):
        put(store, cube("a"))
        with pytest.raises(StoreError, match="Try again"):
            cut_off(store)
        assert store.get(["a", "b", "c"]).keys() == {"a"}
        run(postgres_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mnemos'")
        put(store, cube("d"))  # over a connection that died while it was idle
        assert store.get(["a", "d"]).keys() == {"a", "d"}


def test_a_transaction_with_a_failed_statement_is_never_taken_for_stored(postgres_url, tmp_path):
    def fail(store):
        with store.transaction():
            put(store, cube("a"))
            with pytest.raises(StoreError), store.connection.write() as db:
                db.execute("SELECT 1/0")

    with opened(postgres_url, tmp_path, "s") as (store,):
        with pytest.raises(StoreError, match="nothing of it was stored"):
            fail(store)
        assert store.get(["a"]) == {}


def sleep(store):
    with store.connection.read() as db:
        db.execute("SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(5)")


def test_who_waits_for_too_long_is_told(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.1)
    with opened(postgres_url, tmp_path, "s", "s") as (one, two):
        with one.transaction(), pytest.raises(StoreBusy, match="pg_stat_activity"):
            put(two, cube("a"))
        with pytest.raises(StoreBusy, match="longer"):
            sleep(two)
        put(two, cube("a"))


def test_a_space_that_is_removed_by_another_process(postgres_url, tmp_path):
    from mnemos.store.postgres import spaces

    with opened(postgres_url, tmp_path, "s") as (store,):
        put(store, cube("a"))
        spaces.remove(store.connection.database, "s")
        assert store.get(["a"]) == {}
        with pytest.raises(StoreError, match="was removed by another process"):
            put(store, cube("b"))


# -- a pooler in transaction mode


def test_behind_a_pooler_in_transaction_mode(postgres_server, postgres_url, tmp_path):
    path = f"{postgres_server.folder}/.s.PGSQL.{postgres_server.port}"
    with Pooler(path) as pooler:
        url = f"postgresql://postgres@127.0.0.1:{pooler.port}/{name_of(postgres_url)}?sslmode=disable&pool=3"
        with opened(f"{url}&prepare=off", tmp_path, "s", "t") as (store, other):
            for i in range(8):
                put(store, cube(f"a{i}", "some words"), cube(f"b{i}"))
            assert len(store.get([f"a{i}" for i in range(8)])) == 8
            token = store.change_token()
            assert other.get(["a1"]) == {}, "no setting is left on a connection that somebody else gets"
            with store.transaction(), pytest.raises(StoreBusy), store.try_lock():
                pass_by(url, tmp_path)
            assert store.change_token() != token
            assert store.get(["z"]) == {}
            store.erase(["a1"])
            assert store.remains.raw([b"no such words"])[1] == []
        with opened(url, tmp_path, "s", make=False) as (store,):  # with prepared statements
            told = []
            for _ in range(12):
                try:
                    store.get(["a2"])
                except StoreError as error:
                    told.append(str(error))
            assert all("prepare=off" in t for t in told)
            assert len(told) == 1, "they are off after the first error"
            assert store.get(["a2"])


def pass_by(url, folder):
    """Try to write to the space while it is locked."""
    with opened(f"{url}&prepare=off", folder, "s", make=False) as (store,), store.try_lock():
        put(store, cube("z"))
