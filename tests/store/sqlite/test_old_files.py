"""Files of every earlier schema: copied before they are brought up to date, all or nothing, and said."""

import sqlite3
import stat
import warnings
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.errors import NewerFile, SpaceMigrated, StoreError
from mnemos.store.sqlite import schema
from mnemos.store.sqlite.schema import APPLICATION_ID, VERSION
from tests.conftest import Clock

T0 = datetime(2024, 1, 1, tzinfo=UTC)
SCRIPTS = [schema._V1, schema._V2, schema._V3, schema._V4]
OLD = list(range(1, VERSION))
NAMES = ("0001_first_schema", "0002_life", "0003_co_recalled", "0004_set_aside")
CUBE = (
    "INSERT INTO cubes (id, version, form, kind, state, text, at, at_offset, learned, strength, recalls, metadata, seq) "
    "VALUES (?, 1, 'text', 'turn', 'active', ?, 0, 0, 0, 1.0, 0, '{}', 1)"
)


def old_file(path, version):
    """Write a file as the Mnemos of a schema version wrote it, with two memories."""
    db = sqlite3.connect(path)
    db.create_function("text_hash", 1, schema.text_hash)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(SCRIPTS[0])
    db.execute("INSERT INTO meta VALUES ('space', 'ana')")
    for i, text in enumerate(("I live in Porto.", "Rita likes tulips."), 1):
        db.execute(CUBE, (f"cube{i}", text))
        db.execute("INSERT INTO words VALUES (?, ?)", (i, text.lower().rstrip(".")))
    db.execute("UPDATE counter SET seq = 1")
    for script in SCRIPTS[1:version]:
        db.executescript(script)
    db.execute(
        "CREATE TABLE _sqlite_migrations (migration_set TEXT, name TEXT, applied_at TEXT, PRIMARY KEY (migration_set, name))"
    )
    db.executemany("INSERT INTO _sqlite_migrations VALUES ('mnemos', ?, 'then')", [(name,) for name in NAMES[:version]])
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    return path.read_bytes()


def version_of(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


def copies(folder):
    return sorted(p for p in folder.iterdir() if ".mnemos.v" in p.name)


@pytest.mark.parametrize("version", OLD)
def test_an_old_file_is_copied_brought_up_to_date_and_said(tmp_path, version):
    old_file(tmp_path / "ana.mnemos", version)
    with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
        with pytest.warns(SpaceMigrated, match=rf"schema {version} to {VERSION}.*ana\.mnemos\.v{version}-"):
            space = memory.space("ana")
        assert [c.text for c in space.cubes()] == ["I live in Porto.", "Rita likes tulips."]
        assert memory.spaces() == ["ana"]
        assert space.doctor(repair=True).healthy
    [copy] = copies(tmp_path)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert version_of(copy) == version
    assert version_of(tmp_path / "ana.mnemos") == VERSION
    with warnings.catch_warnings():
        warnings.simplefilter("error", SpaceMigrated)
        with Mnemos(tmp_path, embedder="none", clock=Clock(T0)) as memory:
            assert memory.space("ana").count() == 2
    assert copies(tmp_path) == [copy]


@pytest.mark.parametrize("version", OLD)
def test_the_copy_is_a_backup_that_can_be_restored(tmp_path, version):
    root = tmp_path / "root"
    root.mkdir()
    old_file(root / "ana.mnemos", version)
    with Mnemos(root, embedder="none") as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", SpaceMigrated)
        memory.space("ana").add("later")
        [copy] = copies(root)
        again = memory.restore(copy, name="then")
        assert [c.text for c in again.cubes()] == ["I live in Porto.", "Rita likes tulips."]


@pytest.mark.parametrize("version", OLD)
def test_a_migration_that_fails_changes_nothing(tmp_path, version, monkeypatch):
    path = tmp_path / "ana.mnemos"
    old_file(path, version)
    monkeypatch.setattr(schema, "_V5", schema._V5 + "INSERT INTO no_such_table VALUES (1);\n")
    with Mnemos(tmp_path, embedder="none") as memory, pytest.raises(StoreError):
        memory.space("ana")
    assert version_of(path) == version
    monkeypatch.undo()
    with Mnemos(tmp_path, embedder="none") as memory, pytest.warns(SpaceMigrated):
        assert memory.space("ana").count() == 2


def test_what_is_erased_is_not_left_in_a_copy(tmp_path):
    old_file(tmp_path / "ana.mnemos", 1)
    with Mnemos(tmp_path, embedder="none") as memory:
        with pytest.warns(SpaceMigrated):
            space = memory.space("ana")
        assert len(copies(tmp_path)) == 1
        assert space.forget(["cube2"]).verified
        assert copies(tmp_path) == []
    assert not any(b"tulips" in p.read_bytes() for p in tmp_path.iterdir())


def test_a_removed_space_takes_its_copies_along(tmp_path):
    old_file(tmp_path / "ana.mnemos", 2)
    with Mnemos(tmp_path, embedder="none") as memory:
        with pytest.warns(SpaceMigrated):
            memory.space("ana")
        memory.remove("ana")
    assert [p.name for p in tmp_path.iterdir()] == [".reserve"]


def test_a_newer_file_is_refused_unchanged_and_without_a_copy(tmp_path):
    path = tmp_path / "ana.mnemos"
    old_file(path, 1)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with Mnemos(tmp_path, embedder="none") as memory, pytest.raises(NewerFile, match="Upgrade Mnemos"):
        memory.space("ana")
    assert path.read_bytes() == before
    assert copies(tmp_path) == []
