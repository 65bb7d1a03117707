"""What is SQLite's own: the file, its bytes, its permissions, and files that are not what they should be."""

import os
import sqlite3
import stat
from dataclasses import replace

import pytest

from mnemos.errors import ForeignFile, NewerFile, StoreCorrupt, StoreError
from mnemos.store.sqlite.schema import VERSION
from mnemos.store.sqlite.store import SqliteStore
from mnemos.store.values import DateRow
from tests.contracts.stores import cube, entry


@pytest.fixture
def store(tmp_path):
    with_store = SqliteStore(tmp_path / "s.mnemos", "s")
    yield with_store
    with_store.close()


def test_what_was_written_is_there_for_the_next_one_who_opens(store):
    store.insert([entry(cube("a"), [1, 0])], store.vectors.model("m", "1", 2))
    other = SqliteStore(store.path, "s")
    assert other.get(["a"]).keys() == {"a"}
    [row] = other.changes(0, other.vectors.model("m", "1", 2)).rows
    assert (row.terms, row.vector.tolist()) == (("hello",), [1.0, 0.0])


def test_erasing_takes_versions_and_what_was_derived_and_leaves_no_bytes(store):
    secret = "xylophone-secret"
    model = store.vectors.model("m", "1", 2)
    date = DateRow(0, 1, secret, 0, 3, "day", True)
    store.insert([entry(cube("a", secret), [1, 0], (date,)), entry(cube("keep", "other", parents=()))], model)
    store.replace(entry(replace(cube("a", secret + " again"), version=2), [0, 1]), model)
    store.insert([entry(cube("b", secret + " summary", parents=("a",)))], model)
    store.insert([entry(cube("c", secret + " of summary", parents=("b",)))], model)
    assert sorted(store.erase(["a", "unknown"])) == ["a", "b", "c"]
    assert store.versions("a") == []
    assert store.stats()["versions"] == 1
    assert store.remains.orphans() == 0
    raw = b"".join(p.read_bytes() for p in store.path.parent.iterdir())
    assert secret.encode() not in raw
    assert b"other" in raw


def test_the_file_is_private(store):
    for path in store.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_forked_child_reads_through_its_own_connection(store):
    store.insert([entry(cube("a"))], None)
    child = os.fork()
    if child == 0:
        os._exit(0 if store.get(["a"]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.insert([entry(cube("b"))], None)
    assert store.checks.integrity() == []


# -- files that are not what they should be


def test_a_foreign_database_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "s.mnemos"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ForeignFile, match="not a Mnemos space"):
        SqliteStore(path, "s")
    assert path.read_bytes() == before


def test_a_newer_file_is_refused_and_says_to_upgrade(store):
    store.insert([entry(cube("a"))], None)
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    with pytest.raises(NewerFile, match="pip install -U"):
        SqliteStore(store.path, "s")


def test_a_file_of_garbage_is_named_and_kept(tmp_path):
    path = tmp_path / "s.mnemos"
    path.write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreCorrupt, match="not an SQLite file"):
        SqliteStore(path, "s")
    assert path.read_bytes() == b"not a database at all" * 500


def test_damaged_pages_are_reported_not_swallowed(store):
    store.insert([entry(cube(f"c{i}", "word " * 200)) for i in range(200)], None)
    store.close()
    data = bytearray(store.path.read_bytes())
    data[4096 * 20 : 4096 * 40] = os.urandom(4096 * 20)
    store.path.write_bytes(data)
    try:
        wrong = SqliteStore(store.path, "s").checks.integrity()
    except StoreCorrupt as error:
        wrong = [str(error)]
    assert wrong


def test_a_missing_folder_and_a_closed_store_say_what_to_do(tmp_path, store):
    with pytest.raises(StoreError, match="Check that its folder exists"):
        SqliteStore(tmp_path / "no" / "s.mnemos", "s")
    store.close()
    with pytest.raises(StoreError, match="Open the space again"):
        store.get(["a"])


def test_a_full_disk_loses_nothing(store):
    store.insert([entry(cube("a"))], None)
    with store.connection.bare() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="full"):
        store.insert([entry(cube("big", "x" * 100_000))], None)
    assert store.get(["a", "big"]).keys() == {"a"}
    with store.connection.bare() as db:
        db.execute("PRAGMA max_page_count = 100000")
    store.insert([entry(cube("b"))], None)
    assert store.get(["b"]).keys() == {"b"}
