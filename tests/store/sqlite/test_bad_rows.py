"""Every column of every table, damaged in turn: readers skip and tell, repair sets aside, and the rest works."""

import itertools
import os
import sqlite3
import warnings
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.errors import DamagedRow, MnemosError
from mnemos.store.sqlite.schema import migrate
from tests.conftest import Clock
from tests.store.sqlite.raw import UNGUARD_AUDIT, damage

T0 = datetime(2024, 1, 1, tzinfo=UTC)
VALUES = {
    "text": "'damaged'", "bytes": "x'ff00'", "not UTF-8": "CAST(x'ff41c328' AS TEXT)", "huge": "9223372036854775807",
    "negative": "-9223372036854775808", "real": "1e300", "empty": "''", "cut JSON": "'{\"a\": [1, '",
}  # fmt: skip
KINDS = {
    "TEXT": ("not UTF-8", "cut JSON"),
    "INTEGER": ("not UTF-8", "huge"),
    "REAL": ("bytes",),
    "BLOB": ("bytes", "huge"),
}
EVERY = bool(os.environ.get("MNEMOS_EVERY_DAMAGE"))  # takes minutes; else each column is damaged in one way, by turns
if EVERY:
    KINDS = dict.fromkeys(KINDS, tuple(VALUES))
NOT_OURS = {"sqlite_sequence", "_sqlite_migrations", "set_aside"}


def schema():
    """Yield (table, column, kind of damage) of all tables of a space."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, "s", "here")
    kinds = itertools.count()
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if table not in NOT_OURS:
            for _, column, declared, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
                several = KINDS[declared]
                chosen = several if EVERY else (several[next(kinds) % len(several)],)
                yield from ((table, column, kind) for kind in chosen)


def fill(memory):
    """Write something into every table."""
    space = memory.space("s")
    kept = space.add("I live in Porto.", speaker="Ana", session="one", metadata={"topic": "home"})
    space.add("I moved to Faro yesterday.", speaker="Ana", session="one")
    cubes = [space.add(f"Elephant number {i} drinks tea on 3 May 2023.", session="two") for i in range(4)]
    gone = space.add("erase me")
    space.delete(gone.id)
    space.update(cubes[0].id, content="Elephant number 0 drinks coffee.")
    space.add("They say Ana lives in Rome.", source="https://example.org", role="tool")
    space.context("Where does Ana live?")
    space.trust = {"https://*": 0}
    space.secrets = "keep"
    space.policy = space.policy
    space.search("elephant")
    space.consolidate()
    store = space.store
    store.queue.add([cubes[1].id], "later")
    with store.transaction():
        db = store.connection._db
        db.execute("INSERT OR IGNORE INTO links VALUES (?, ?, 'similar', 0.9, 5)", (cubes[1].id, cubes[2].id))
        db.execute("INSERT OR IGNORE INTO lessons VALUES (x'00', x'01', 0, 5)")
        key = store.keys_of([kept.id])[0]  # as small heads would read it
        db.execute("INSERT INTO readings VALUES (?, 0, 6, 'my sister', 'place', 'now', 0, 0.9)", (key,))
        db.execute("INSERT INTO decisions VALUES (?, 5, 'ADD', 'why', '[\"x\"]', 'rules')", (cubes[1].id,))
    return kept


def use(space):
    """Call every verb that reads."""
    texts = {c.text for c in space.cubes(limit=2)}
    texts |= {
        h.cube.text
        for m in ("hybrid", "words", "vectors")
        for h in space.search("elephant Porto Faro tea", 20, method=m)
    }
    space.search("elephant", as_of="2030-01-01", where={"topic": "home"})
    space.search("elephant", since="2023-01-01", until="2025-01-01")
    space.search_sessions("elephant")
    space.context("Where does Ana live?")
    for cube in list(space.cubes(state="any", include_derived=True)):
        space.history(cube.id)
        space.links(cube.id)
        space.decisions(cube.id)
        space.inspect.graph(around=cube.id)
        space.inspect.curve(cube.id)
    space.links()
    space.facts(include_ended=True)
    space.facts(min_confidence=0.5)
    space.decisions()
    space.audit()
    space.verify_audit()
    space.stats()
    space.inspect.timeline()
    space.inspect.sizes()
    space.inspect.newest(limit=3)
    space.inspect.due_soon()
    space.inspect.graph()
    space.inspect.runs()
    list(space.dump())
    space.apply_policy()
    return texts


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    with Mnemos(folder, embedder="hashing:32", clock=Clock(T0)) as memory:
        fill(memory)
        sound = use(memory.space("s"))
    data = next(folder.glob("*.mnemos")).read_bytes()
    assert len(sound) > 5
    return data, sound


def rows_of(path, table):
    db = sqlite3.connect(path)
    try:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        db.close()


@pytest.mark.parametrize(("table", "column", "kind"), list(schema()))
def test_one_damaged_value_costs_at_most_its_row(tmp_path, template, table, column, kind):
    data, sound = template
    path = tmp_path / "s.mnemos"
    path.write_bytes(data)
    assert rows_of(path, table), "the template fills every table"
    where = f"rowid = (SELECT max(rowid) FROM {table})"
    if table in ("meta", "parents", "vectors", "erased", "facts", "links", "pending", "lessons", "readings"):
        where = f"{column} = (SELECT {column} FROM {table} ORDER BY {column} DESC LIMIT 1)"
    try:
        damage(
            path,
            *(UNGUARD_AUDIT if table == "audit" else ()),
            f"UPDATE OR IGNORE {table} SET {column} = {VALUES[kind]} WHERE {where}",
        )
    except sqlite3.Error:
        pytest.skip("SQLite itself refuses this value")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with Mnemos(tmp_path, embedder="hashing:32", clock=Clock(T0)) as memory:
            space = memory.space("s")
            found = use(space)
            assert len(sound - found) <= (len(sound) if table == "models" else 1)
            new = space.add("A tortoise came by.")
            space.update(new.id, content="A turtle came by.")
            space.consolidate()
            space.delete(new.id)
            space.doctor()
            assert space.doctor(repair=True).healthy
            assert space.doctor().problems == []
            with warnings.catch_warnings():
                warnings.simplefilter("error", DamagedRow)
                if table != "audit":
                    assert len(sound - use(space)) <= 1
            space.reindex()
            assert space.forget(everything=True).ids


def test_a_bad_row_is_named_and_skipped_and_can_be_looked_at_after_the_repair(tmp_path):
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        space = memory.space("ana")
        cubes = [space.add(f"I like tea number {i}.") for i in range(5)]
        damage(space.store.path, f"UPDATE cubes SET metadata = '{{\"a\": ' WHERE id = '{cubes[2].id}'")
        with pytest.warns(DamagedRow, match=f"{cubes[2].id}.*doctor --repair -s ana"):
            assert [c.id for c in space.cubes(limit=1)] == [c.id for c in cubes if c is not cubes[2]]
        with pytest.warns(DamagedRow):
            assert len(space.search("tea", 4)) == 4
        with pytest.warns(DamagedRow), pytest.raises(MnemosError):
            space.get(cubes[2].id)
        report = space.doctor()
        assert not report.healthy
        assert cubes[2].id in report.problems[0]
        assert space.doctor(repair=True).healthy
        [row] = space.store.checks.aside()
        assert (row.table, row.cube) == ("cubes", cubes[2].id)
        assert "I like tea number 2." in row.row
        assert '{\\"a\\": ' in row.row
        assert len(list(space.cubes())) == 4
        space.delete(cubes[1].id)
        assert len(space.store.checks.aside()) == 1


def test_what_was_set_aside_is_erased_with_its_cube(tmp_path):
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        space = memory.space("ana")
        cube = space.add("My pin is tulip-blossom.")
        space.update(cube.id, content="My pin is orchid-blossom.")
        damage(space.store.path, f"UPDATE cubes SET at = 'x' WHERE id = '{cube.id}' AND version = 1")
        assert space.doctor(repair=True).healthy
        assert "tulip" in space.store.checks.aside()[0].row
        assert space.forget([cube.id]).verified
        assert space.store.checks.aside() == []
        assert not any(b"tulip" in p.read_bytes() for p in tmp_path.iterdir())


@pytest.mark.parametrize("how", ["ids", "everything", "everything after the repair", "delete"])
def test_a_damaged_memory_can_be_erased(tmp_path, how):
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        space = memory.space("ana")
        keep, bad = space.add("I like tea."), space.add("My pin is tulip-blossom.")
        damage(space.store.path, f"UPDATE cubes SET metadata = '[' WHERE id = '{bad.id}'")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedRow)
            if how == "delete":
                assert list(space.delete(bad.id)) == [bad.id]
            elif how == "ids":
                assert space.forget([bad.id]).ids == (bad.id,)
            else:
                if "repair" in how:
                    assert space.doctor(repair=True).healthy
                assert space.forget(everything=True).verified
                assert space.store.checks.aside() == []
        assert space.count() == (0 if "everything" in how else 1)
        assert space.doctor().problems == []
        assert keep.id
        assert not any(b"tulip" in p.read_bytes() for p in tmp_path.iterdir() if p.name != ".reserve")


def test_a_file_that_lost_its_name_is_still_found_by_its_own(tmp_path):
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        memory.space("ana").add("I like tea.")
    damage(tmp_path / "ana.mnemos", "UPDATE meta SET value = CAST(x'ff41' AS TEXT) WHERE key = 'space'")
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        with pytest.warns(DamagedRow):
            space = memory.space("ana")
        assert space.count() == 1
        assert memory.spaces() == ["ana"]
        assert not space.doctor().healthy
        assert space.doctor(repair=True).healthy
        assert space.store.meta.get("space") == "ana"


@pytest.mark.parametrize("name", ["policy", "trust", "secrets", "timezone"])
def test_a_setting_that_its_reader_refuses_is_named_and_set_aside(tmp_path, name):
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        space = memory.space("ana")
        default = getattr(space, name)
        space.store.meta.set(name, "[nonsense")
        with pytest.warns(DamagedRow, match=f"{name}.*doctor --repair -s ana"):
            assert getattr(space, name) == default
        assert f"the value '{name}' is damaged" in space.doctor().problems[0]
        assert space.doctor(repair=True).healthy
        assert "[nonsense" in space.store.checks.aside()[0].row
        assert space.doctor().problems == []
