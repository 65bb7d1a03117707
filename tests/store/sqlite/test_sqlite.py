import os
import sqlite3
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from mnemos.cube import MemCube, to_micros
from mnemos.errors import Conflict, ForeignFile, NewerFile, StoreCorrupt, StoreError
from mnemos.store.sqlite.schema import VERSION
from mnemos.store.sqlite.store import SqliteStore
from mnemos.store.values import DateRow, Entry, Filter

T0 = datetime(2024, 1, 1, tzinfo=UTC)


def cube(id_, text="hello", day=0, **header):
    header = {"space": "s", "at": T0 + timedelta(days=day), "learned": T0 + timedelta(days=day), **header}
    return MemCube(id=id_, text=text, **header)


def entry(c, vector=None, dates=()):
    return Entry(c, tuple(c.text.split()), None if vector is None else np.array(vector, np.float16), dates)


@pytest.fixture
def store(tmp_path):
    with_store = SqliteStore(tmp_path / "s.mnemos", "s")
    yield with_store
    with_store.close()


def test_every_field_of_a_cube_survives(store):
    full = cube(
        "a", "Olá \0 \u2028 𝒳", at=datetime(2024, 5, 1, 23, 30, tzinfo=timezone(timedelta(hours=9))), kind="fact",
        session="s1", speaker="Ana", role="user", source="chat.json", parents=("p", "q"), valid_from=T0,
        valid_to=T0 + timedelta(days=9), strength=0.25, recalls=3, recalled_at=T0, metadata={"k": [1, None, {"x": True}]},
    )  # fmt: skip
    store.insert([entry(full)], None)
    [found] = store.get(["a"]).values()
    assert found == full
    assert found.at.utcoffset() == timedelta(hours=9)
    assert MemCube.from_dict(found.to_dict()) == full


def test_what_was_written_is_there_for_the_next_one_who_opens(store):
    store.insert([entry(cube("a"), [1, 0])], store.vectors.model("m", "1", 2))
    other = SqliteStore(store.path, "s")
    assert other.get(["a"]).keys() == {"a"}
    [row] = other.changes(0, other.vectors.model("m", "1", 2)).rows
    assert (row.terms, row.vector.tolist()) == (("hello",), [1.0, 0.0])


def test_a_batch_is_all_or_nothing(store):
    store.insert([entry(cube("a"))], None)
    before = store.changes(0, None)
    with pytest.raises(Conflict, match="Nothing of the batch"):
        store.insert([entry(cube("b")), entry(cube("a"))], None)
    assert store.get(["a", "b"]).keys() == {"a"}
    assert store.changes(0, None) == before


def test_versions_follow_each_other_and_the_stale_writer_is_told(store):
    first = cube("a", "one")
    store.insert([entry(first)], None)
    second = replace(first, text="two", version=2, learned=T0 + timedelta(days=1))
    store.replace(entry(second), None)
    assert [(v.text, v.replaced) for v in store.versions("a")] == [("one", second.learned), ("two", None)]
    with pytest.raises(Conflict, match="updated or removed"):
        store.replace(entry(replace(second, text="late")), None)
    with pytest.raises(Conflict, match="updated or removed"):
        store.replace(entry(replace(cube("gone"), version=2)), None)
    assert [v.text for v in store.versions("a")] == ["one", "two"]
    assert store.versions("gone") == []


def test_changes_tell_a_reader_what_to_add_and_what_to_drop(store):
    store.insert([entry(cube("a")), entry(cube("b"))], None)
    seen = store.changes(0, None)
    assert [r.key for r in seen.rows] == [1, 2]
    assert store.changes(seen.seq, None) == replace(seen, rows=[], gone=[])
    store.replace(entry(replace(cube("a", "new"), version=2)), None)
    store.erase(["b"])
    later = store.changes(seen.seq, None)
    assert [(r.key, r.text) for r in later.rows] == [(3, "new")]
    assert sorted(later.gone) == [1, 2]


def test_row_keys_are_never_used_again(store):
    store.insert([entry(cube("a"))], None)
    store.erase(["a"])
    store.insert([entry(cube("b"))], None)
    assert [r.key for r in store.changes(0, None).rows] == [2]


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


def test_filters_agree_with_a_plain_scan(store):
    cubes = [
        cube(f"c{i}", f"text {i}", day=i, session=f"s{i % 3}", speaker=("Ana", None)[i % 2], role="user",
             kind=("turn", "fact")[i % 5 == 0], metadata={"n": i % 4, "s": str(i % 4), "b": i % 4 == 1, "none": None})
        for i in range(40)
    ]  # fmt: skip
    store.insert([entry(c) for c in cubes], None)

    def check(expected, **fields):
        got = {cubes[n - 1].id for n in store.keys(Filter(**fields))}
        assert got == {c.id for c in cubes if expected(c)}
        assert {c.id for _, c in store.select(Filter(**fields), limit=100)} == got

    check(lambda c: True)
    check(lambda c: c.session == "s1" and c.speaker == "Ana", session="s1", speaker="Ana")
    check(lambda c: c.kind == "fact", kind="fact")
    check(lambda c: c.metadata["n"] == 1, where={"n": 1})
    check(lambda c: c.metadata["s"] == "1", where={"s": "1"})
    check(lambda c: c.metadata["b"] is True, where={"b": True})
    check(lambda c: True, where={"none": None})
    check(lambda c: False, where={"missing": None})
    check(lambda c: False, where={"n": 1.5})
    check(lambda c: False, session="' OR 1=1 --")
    since, until = T0 + timedelta(days=5), T0 + timedelta(days=9)
    check(lambda c: since <= c.at < until, since=to_micros(since), until=to_micros(until))


def test_a_date_that_a_text_speaks_of_counts_as_its_time(store):
    day = 86_400_000_000
    store.insert(
        [entry(cube("a", day=10), dates=(DateRow(to_micros(T0), to_micros(T0) + day, "x", 0, 1, "day", True),))], None
    )

    def found(since, until):
        return store.keys(Filter(since=to_micros(T0) + since * day, until=to_micros(T0) + until * day)).tolist()

    assert found(0, 1) == [1]
    assert found(10, 11) == [1]
    assert found(1, 10) == []


def test_as_of_sees_the_version_believed_then(store):
    first = cube("a", "one", learned=T0 + timedelta(days=1))
    store.insert([entry(first)], None)
    store.replace(entry(replace(first, text="two", version=2, learned=T0 + timedelta(days=3))), None)
    believed = {d: [r.text for r in store.snapshot(to_micros(T0 + timedelta(days=d)), None)] for d in range(5)}
    assert believed == {0: [], 1: ["one"], 2: ["one"], 3: ["two"], 4: ["two"]}
    assert [c.text for _, c in store.select(Filter(as_of=to_micros(T0 + timedelta(days=2))))] == ["one"]


def test_vectors_belong_to_their_model(store):
    old, new = store.vectors.model("m", "1", 2), store.vectors.model("m", "2", 3)
    store.insert([entry(cube("a"), [1, 0]), entry(cube("b"), [0, 1])], old)
    assert [r.vector for r in store.changes(0, new).rows] == [None, None]
    assert store.vectors.missing(new, limit=9) == [(1, "hello"), (2, "hello")]
    store.vectors.put(new, [(1, np.ones(3, np.float16)), (99, np.ones(3, np.float16))])
    assert store.vectors.missing(new, limit=9) == [(2, "hello")]
    assert store.vectors.drop_others(new) == 2
    assert [m["vectors"] for m in store.stats()["models"]] == [1]
    assert store.remains.orphans() == 0


def test_the_file_is_private(store):
    for path in store.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_threads_share_one_store(store):
    def work(t):
        for i in range(25):
            store.insert([entry(cube(f"{t}-{i}"))], None)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.stats()["cubes"] == 100


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
