"""Spaces whose files somebody has damaged, filled up or tampered with."""

import sqlite3
from datetime import UTC, datetime

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.errors import StoreError
from mnemos.store.audit import acting
from mnemos.store.sqlite.store import SqliteStore
from tests.store.sqlite.raw import UNGUARD_AUDIT, damage

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="none", clock=lambda: T0) as memory:
        yield memory.space("ana")


def texts(hits):
    return [hit.cube.text for hit in hits]


def test_doctor_finds_and_repairs_words_and_vectors_from_the_rows(tmp_path):
    with Mnemos(tmp_path, embedder="hashing:32") as memory:
        space = memory.space("s")
        cubes = space.add_many({"content": f"elephant {i} yesterday"} for i in range(10))
        path = space.store.path
        damage(
            path, "UPDATE words SET terms = 'nonsense' WHERE n = 1", "DELETE FROM words WHERE n = 2",
            "UPDATE vectors SET vector = x'00' WHERE n = 3", "DELETE FROM vectors WHERE n = 4",
            "DELETE FROM dates WHERE n = 5", "INSERT INTO words (n, terms) VALUES (999, 'orphan')",
        )  # fmt: skip
        found = space.doctor()
        assert [p.split()[0] for p in found.problems] == ["3", "1", "1", "1"]
        assert not found.healthy
        assert space.doctor(repair=True).healthy
        assert space.doctor().problems == []
        assert len(space.search("elephant", 20)) == len(cubes)
        assert np.isfinite([h.score for h in space.search("elephant", 20, method="vectors")]).all()


def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("s").add("x")
    path = next(tmp_path.glob("*.mnemos"))
    path.write_bytes(b"not a database at all, " * 100)
    with Mnemos(tmp_path, embedder="none") as memory, pytest.raises(StoreError, match="backup or an export"):
        memory.space("s")
    assert path.read_bytes().startswith(b"not a database")


def test_a_full_disk_keeps_what_was_there(space):
    space.add("before")
    with space.store.connection.bare() as db:
        db.execute("PRAGMA max_page_count = 40")
    with pytest.raises(StoreError, match="full"):
        space.add_many({"content": "long " * 200} for _ in range(500))
    assert [c.text for c in space.cubes().items] == ["before"]
    assert texts(space.search("before")) == ["before"]


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'eve' WHERE i = 2", "DELETE FROM audit WHERE i = 2"])
def test_the_audit_log_can_only_be_appended_to_and_breaks_when_the_file_is_changed(tmp_path, change):
    with Mnemos(tmp_path, embedder="none", actor="bo", clock=lambda: T0) as memory:
        space = memory.space("ana")
        cube = space.add("I live in Porto.")
        space.update(cube.id, content="I live in Faro.")
        with acting("carla"):
            space.pin(cube.id)
        assert space.store.audit.verify() == (3, [])
        path = space.store.path
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        damage(path, change)
    damage(path, *UNGUARD_AUDIT, change)
    store = SqliteStore(path, "ana")
    assert store.audit.verify()[1] != []
    store.close()
