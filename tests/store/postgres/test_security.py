"""Row-level security: whoever may write SQL as one space's role sees and changes nothing of another space."""

from __future__ import annotations

import psycopg
import pytest

from mnemos import Mnemos
from mnemos.errors import MnemosError, StoreError
from mnemos.facts import Decision, Link, Reading, Rejection
from mnemos.store.postgres import security, spaces
from mnemos.store.postgres.database import Database
from mnemos.store.postgres.schema import SPACE_TABLES
from mnemos.store.values import DateRow, Entry, Filter
from tests.contracts.stores import DAY, NOW, T0, cube, entry, fact, put
from tests.store.postgres.stores import opened

SECRET = "xylophone"
TEMPLATES = (
    "SELECT * FROM mnemos.{t}",
    "SELECT * FROM mnemos.{t} WHERE space = 'ana'",
    "SELECT set_config('mnemos.space', 'ana', true); SELECT * FROM mnemos.{t} WHERE space = 'ana'",
    "SET mnemos.space = 'ana'; TABLE mnemos.{t}",
    "SET row_security = off; SELECT * FROM mnemos.{t}",
    "RESET ROLE; SET mnemos.space = 'ana'; SELECT * FROM mnemos.{t}",
    "SET ROLE mnemos_member; SET mnemos.space = 'ana'; SELECT * FROM mnemos.{t}",
    "SET mnemos.space = 'ana'; SELECT * FROM mnemos.{t} WHERE space = 'ana' FOR UPDATE",
    "SET mnemos.space = 'ana'; UPDATE mnemos.{t} SET space = 'bo' WHERE space = 'ana' RETURNING *",
    "SET mnemos.space = 'ana'; DELETE FROM mnemos.{t} WHERE space = 'ana' RETURNING *",
    "SET mnemos.space = 'ana'; SELECT 1 FROM mnemos.{t} TABLESAMPLE BERNOULLI (100)",
    "SET mnemos.space = 'ana'; SELECT 1 FROM mnemos.{t} WHERE ctid = '(0,1)' AND space = 'ana'",
    "SET mnemos.space = 'ana'; SELECT 1 FROM mnemos.{t} AS x WHERE pg_temp.leak(x.*::text) AND space = 'ana'",
)
STATEMENTS = (
    "SET SESSION AUTHORIZATION postgres; SELECT * FROM mnemos.cubes",
    "SET ROLE postgres; SELECT * FROM mnemos.cubes",
    "SET ROLE {owner}; SELECT * FROM mnemos.cubes",
    "SET ROLE ana_role; SET mnemos.space = 'ana'; SELECT * FROM mnemos.cubes",
    "ALTER ROLE bo_role BYPASSRLS; SELECT 1",
    "ALTER ROLE bo_role SUPERUSER; SELECT 1",
    "CREATE ROLE evil SUPERUSER; SELECT 1",
    "INSERT INTO mnemos.grants VALUES ('bo_role', 'ana'); SELECT 1",
    "UPDATE mnemos.grants SET space = 'ana'; SELECT 1",
    "SELECT * FROM mnemos.grants WHERE member != 'bo_role'",
    "GRANT ana_role TO bo_role; SELECT 1",
    "ALTER TABLE mnemos.cubes DISABLE ROW LEVEL SECURITY; SELECT 1",
    "ALTER TABLE mnemos.cubes NO FORCE ROW LEVEL SECURITY; SELECT 1",
    "DROP POLICY members ON mnemos.cubes; SELECT 1",
    "CREATE POLICY mine ON mnemos.cubes USING (true); SELECT 1",
    "CREATE VIEW mnemos.all_cubes AS SELECT * FROM mnemos.cubes; SELECT 1",
    "CREATE FUNCTION mnemos.now() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT 1",
    "TRUNCATE mnemos.cubes; SELECT 1",
    "DROP TABLE mnemos.cubes; SELECT 1",
    "DELETE FROM mnemos.audit; SELECT 1",
    "UPDATE mnemos.audit SET actor = 'me'; SELECT 1",
    "SELECT set_config('mnemos.removing', 'ana', false); DELETE FROM mnemos.audit; SELECT 1",
    "SET mnemos.space = 'ana'; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM mnemos.cubes; FETCH ALL FROM c",
    "SET mnemos.space = 'ana'; PREPARE p AS SELECT * FROM mnemos.cubes WHERE space = $1; EXECUTE p('ana')",
    "SET mnemos.space = 'ana'; SELECT query_to_xml('SELECT text FROM mnemos.cubes', true, false, '')::text ~ 'xylophone' "
    "AS x INTO TEMP y; SELECT * FROM pg_temp.y WHERE x",
    "SELECT most_common_vals FROM pg_stats WHERE schemaname = 'mnemos' AND tablename = 'cubes'",
    "SELECT * FROM pg_statistic",
    "SELECT query FROM pg_stat_activity WHERE query LIKE '%xylophone%' AND pid != pg_backend_pid()",
    "SELECT pg_read_binary_file(pg_relation_filepath('mnemos.cubes'))",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'true'; SELECT 1",
    "COPY mnemos.cubes TO '/tmp/out'; SELECT 1",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM mnemos.server_keys",
    "SELECT * FROM mnemos.server_answers",
    "CREATE EXTENSION plperlu; SELECT 1",
    "LOAD 'auto_explain'; SELECT 1",
    "SELECT 1 FROM pg_stat_activity WHERE CASE WHEN pid != pg_backend_pid() THEN pg_terminate_backend(pid) END",
    "SELECT pg_reload_conf()",
    "ALTER SYSTEM SET row_security = off; SELECT 1",
    "VACUUM FULL mnemos.migrations; SELECT 1 WHERE false",
    "DO $$ BEGIN PERFORM set_config('mnemos.space', 'ana', false); IF EXISTS (SELECT 1 FROM mnemos.cubes WHERE space = 'ana') "
    "THEN RAISE EXCEPTION 'leaked xylophone'; END IF; END $$; SELECT 1 WHERE false",
    "SET mnemos.space = 'ana'; MERGE INTO mnemos.meta AS m USING (VALUES ('ana')) AS v (s) ON m.space = v.s "
    "WHEN MATCHED THEN DELETE; SELECT * FROM mnemos.meta WHERE space = 'ana'",
)
INSERTS = {
    "meta": "(space, key, value) VALUES ('ana', 'x', 'y')",
    "parents": "VALUES ('ana', 'x', 'y')",
    "gone": "VALUES ('ana', 1, 1)",
    "erased": "VALUES ('ana', 'x')",
    "pending": "VALUES ('ana', 'x', 1, 'y')",
    "links": "VALUES ('ana', 'x', 'y', 'similar', 1, 1)",
    "models": "VALUES ('ana', 9, 'x', 'y', 2)",
    "words": "VALUES ('ana', 1, 'x', 1)",
    "spaces": "(space, made) VALUES ('ana', 1)",
    "audit": "VALUES ('ana', 99, 1, 'x', 'y', 1, 'z', 'z')",
}


def fill(store):
    """Write at least one row to every table."""
    model = store.vectors.model("m", "1", 2)
    date = DateRow(NOW, NOW + DAY, SECRET, 0, 1, "day", True)
    a = cube("a", SECRET, session="s", metadata={"x": SECRET}, parents=("b",))
    reading = Reading("me", "lives in", 0, 3, "now", False, 0.9)
    e = Entry(a, (SECRET,), entry(a, [1, 0]).vector, (date,), (reading,))
    [key] = store.insert([e], model)
    put(store, cube("gone"), cube("b"))
    store.facts.put([fact("a", key, SECRET)])
    store.links.put([Link("a", "b", "similar")], NOW)
    store.queue.add(["a"], SECRET)
    store.decisions.put([Decision("a", T0, "ADD", SECRET, (), "rules")])
    store.rejections.add([Rejection("00", "11", 0)], NOW)
    store.meta.set(SECRET, SECRET)
    store.erase(["gone"])
    store.checks.set_aside(NOW, [SECRET])
    store.meta.set(SECRET, SECRET)


@pytest.fixture
def tenants(postgres_server, postgres_url, tmp_path):
    """A database with the spaces ana and bo, and the URL of bo's role."""
    with opened(postgres_url, tmp_path, "ana", "bo") as (ana, bo):
        fill(ana)
        fill(bo)
        for name in ("ana", "bo"):
            security.grant(ana.connection.database, f"{name}_role", [name], password=f"{name}-secret")
        yield ana, bo, postgres_url.replace("//postgres@", "//bo_role@")


def rows_of(store):
    """Return everything that is stored of a space, as the superuser sees it."""
    with store.connection.database.direct() as db:
        return {
            t: sorted(map(repr, db.execute(f"SELECT * FROM mnemos.{t} WHERE space = %s", (store.space,)).fetchall()))
            for t in SPACE_TABLES
        }


def attack(db, statement):
    """Run statements in a transaction that is rolled back; return the rows that the last one gives."""
    found = []
    try:
        with db.cursor() as cursor:
            cursor.execute(statement)
            while cursor.nextset():
                pass
            found = cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        found = [(error.diag.message_primary,)]
        if SECRET not in str(error):
            found = []
    finally:
        db.execute("ROLLBACK")
        db.execute("RESET ALL")
    return found


def test_hostile_statements_see_and_change_nothing_of_another_space(tenants):
    ana, _, url = tenants
    before, count = rows_of(ana), 0
    assert all(before.values()), "every table holds something that could be seen"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS "
            "$$ BEGIN RAISE NOTICE 'leak %', $1; RETURN true; END $$"
        )
        notices = []
        db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        for template in TEMPLATES:
            for table in SPACE_TABLES:
                found = attack(db, "BEGIN; " + template.format(t=table))
                assert not [row for row in found if "ana" in row or SECRET in repr(row)], (template, table, found)
                assert "WHERE space = 'ana'" not in template or not found, (template, table, found)
                count += 1
        for table, rest in INSERTS.items():
            attack(
                db, f"BEGIN; SET mnemos.space = 'ana'; INSERT INTO mnemos.{table} {rest}; COMMIT; SELECT 1 WHERE false"
            )
            count += 1
        for statement in STATEMENTS:
            found = attack(db, statement.format(owner="postgres") if "{owner}" in statement else statement)
            assert not found or SECRET not in repr(found), (statement, found)
            count += 1
        assert attack(db, "SET mnemos.space = 'bo'; SELECT text FROM mnemos.cubes WHERE id = 'a'") == [(SECRET,)], (
            "the role sees its own"
        )
        assert not [n for n in notices if "leak" in n]
    assert rows_of(ana) == before
    assert count >= 200


def test_api_calls_as_another_spaces_role_find_no_space(tenants, tmp_path):
    ana, bo, url = tenants
    before = rows_of(ana)
    with opened(url, tmp_path, "ana", "bo", make=False) as (theirs, own):
        assert spaces.names(own.connection.database) == ["bo"]
        assert not spaces.exists(own.connection.database, "ana")
        with pytest.raises(StoreError):
            spaces.make(own.connection.database, "ana", 0)
        assert own.get(["a"])["a"].text == SECRET
        put(own, cube("new"))
        assert bo.get(["new"])
        reads = (
            lambda s: s.get(["a", "b"]), lambda s: s.by_key([1, 2, 3]), lambda s: s.versions("a"), lambda s: s.family(["a"]),
            lambda s: s.select(Filter(state=None)), lambda s: s.keys(Filter(state=None)).tolist(),
            lambda s: s.changes(0, 1, closed=True).rows, lambda s: s.dates([1, 2]),
            lambda s: s.was_erased(["gone"]), lambda s: s.told(["a"]), lambda s: s.facts.find(ended=True),
            lambda s: s.facts.of([1]), lambda s: s.readings.find(), lambda s: s.links.find(), lambda s: s.links.implied("a"),
            lambda s: s.queue.pending(), lambda s: s.decisions.find(), lambda s: s.rejections.all(), lambda s: s.meta.get(SECRET),
            lambda s: s.audit.entries(), lambda s: s.vectors.of(1, [1, 2]), lambda s: s.vectors.missing(1, limit=9),
            lambda s: s.derived.members(), lambda s: s.checks.aside(), lambda s: s.checks.scan(1, after=0, limit=9),
            lambda s: s.inspect.newest(Filter(), None, 9), lambda s: s.inspect.most_linked(9), lambda s: s.inspect.sizes().forms,
            lambda s: s.stats()["versions"], lambda s: s.remains.mentions(SECRET),
        )  # fmt: skip
        for read in reads:
            assert not read(theirs)
            assert read(ana) or read(bo) or True
        assert own.remains.raw([SECRET.encode()]) == (0, []), "the files of tables are for superusers"
        writes = (
            lambda s: put(s, cube("evil")), lambda s: s.erase(["a"]), lambda s: s.meta.set("x", "y"),
            lambda s: s.lives.pin("a", True), lambda s: s.queue.add(["x"], "y"), lambda s: s.vectors.model("x", "y", 2),
            lambda s: s.checks.erase_damaged(), lambda s: spaces.remove(s.connection.database, "ana"),
        )  # fmt: skip
        for write in writes:
            with pytest.raises(MnemosError):
                write(theirs)
    assert rows_of(ana) == before


def test_a_member_opens_its_own_spaces_and_no_other(tenants, postgres_url):
    ana, _, url = tenants
    before = rows_of(ana)
    for opened_as in (url, f"{postgres_url}&role=bo_role"):
        with Mnemos(opened_as, embedder="none") as memory:
            assert memory.spaces() == ["bo"]
            assert SECRET in [c.text for c in memory.space("bo").cubes()]
            memory.space("bo").forget(ids=[memory.space("bo").add("tea is ready").id])
            with pytest.raises(StoreError):
                memory.space("ana")
            with pytest.raises(MnemosError):
                memory.remove("ana")
    assert rows_of(ana) == before


def test_a_server_acts_as_the_role_that_its_url_names(tenants, tmp_path, postgres_url):
    with opened(f"{postgres_url}&role=bo_role", tmp_path, "ana", "bo", make=False) as (theirs, own):
        assert own.get(["a"])["a"].text == SECRET
        assert theirs.get(["a"]) == {}
        with pytest.raises(StoreError, match="may not use it"):
            put(theirs, cube("evil"))
        security.revoke(own.connection.database, "bo_role")
        assert own.get(["a"]) == {}
        assert security.granted(own.connection.database) == {"ana_role": ["ana"]}


def test_an_owner_who_is_no_superuser_is_bound_to_the_space_that_is_set(postgres_server, tmp_path):
    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("CREATE ROLE plain LOGIN")
        db.execute("CREATE DATABASE plain OWNER plain STRATEGY file_copy")
    try:
        with opened(postgres_server.url("plain", user="plain"), tmp_path, "ana", "bo") as (ana, bo):
            assert security.binds(ana.connection.database)
            fill(ana)
            put(bo, cube("x"))
            with bo.connection.read() as db:
                assert db.execute("SELECT space FROM cubes").fetchall() == [("bo",)], "a query that forgets its space"
            ana.erase(["a"])
            assert not ana.remains.mentions("zzz")
            spaces.remove(ana.connection.database, "ana")
            with pytest.raises(StoreError, match="may not make roles"):
                security.grant(bo.connection.database, "x_role", ["bo"])
            assert bo.get(["x"])
    finally:
        with psycopg.connect(postgres_server.url(), autocommit=True) as db:
            db.execute("DROP DATABASE plain WITH (FORCE)")
            db.execute("DROP ROLE plain")


def test_a_role_above_row_security_is_refused(postgres_url):
    database = Database(postgres_url)
    assert not security.binds(database)
    with pytest.raises(StoreError, match="above row-level security"):
        security.grant(database, "postgres", ["ana"])
    database.close()
