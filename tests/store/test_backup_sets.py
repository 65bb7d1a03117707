"""Sets of backups: dated, whole or not there, pruned only of what was made here, and restored."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnemos import Mnemos
from mnemos.errors import Conflict, InvalidInput, StoreCorrupt, StoreError
from mnemos.store.backups import MANIFEST
from mnemos.store.sqlite import backup
from tests.conftest import Clock
from tests.store.sqlite.raw import damage

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def now():
    return Clock(T0)


@pytest.fixture
def memory(tmp_path, now):
    with Mnemos(tmp_path / "root", embedder="none", clock=now) as memory:
        for name in ("ana", "a/b"):
            memory.space(name).add(f"I am {name}.")
        yield memory


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def texts(space):
    return [c.text for c in space.cubes()]


def test_every_run_makes_a_set_of_its_own_and_each_can_be_restored(memory, folder, now, tmp_path):
    first = memory.backup_all(folder)
    memory.space("ana").add("I moved.")
    second = memory.backup_all(folder)
    now.now += timedelta(days=1)
    third = memory.backup_all(folder)
    assert [s.folder.name for s in (first, second, third)] == [
        "20240101T000000Z",
        "20240101T000000Z-2",
        "20240102T000000Z",
    ]
    assert first.files.keys() == {"ana", "a/b"}
    assert not any(s.problems or s.removed for s in (first, second, third))
    with Mnemos(tmp_path / "then", embedder="none") as then:
        assert {s.name: texts(s) for s in then.restore_all(first.folder)} == {
            "ana": ["I am ana."],
            "a/b": ["I am a/b."],
        }
    with Mnemos(tmp_path / "newest", embedder="none") as newest:
        newest.restore_all(folder)
        assert texts(newest.space("ana")) == ["I am ana.", "I moved."]


def test_a_restore_of_all_touches_nothing_unless_it_may_replace(memory, folder):
    memory.backup_all(folder)
    memory.space("ana").add("later")
    memory.remove("a/b")
    with pytest.raises(Conflict, match="already"):
        memory.restore_all(folder)
    assert "a/b" not in memory
    memory.restore_all(folder, replace=True)
    assert texts(memory.space("ana")) == ["I am ana."]
    assert texts(memory.space("a/b")) == ["I am a/b."]


def test_older_sets_are_removed_and_nothing_else(memory, folder, now):
    theirs = [folder / "20230101T000000Z", folder / "notes", folder / "20230601T000000Z"]
    for one in theirs:
        one.mkdir()
        (one / "precious").write_text("mine")
    (theirs[2] / MANIFEST).write_text(json.dumps({"made_by": "somebody"}))
    outside = folder.parent / "outside"
    outside.write_text("mine too")
    made = []
    for _ in range(5):
        made.append(memory.backup_all(folder, keep=2))
        now.now += timedelta(days=1)
    (made[0].folder).mkdir()  # a set in which somebody has put a file, and whose manifest names another one outside
    manifest = {"made_by": "mnemos", "spaces": {"x": "../../outside"}, "problems": []}
    (made[0].folder / MANIFEST).write_text(json.dumps(manifest))
    (made[0].folder / "precious").write_text("mine")
    last = memory.backup_all(folder, keep=2)
    assert made[0].folder in last.removed
    left = {p.name for p in folder.iterdir()}
    assert left == {p.name for p in theirs} | {made[0].folder.name, made[4].folder.name, last.folder.name}
    assert [p.name for p in made[0].folder.iterdir()] == ["precious"]
    assert outside.exists()
    assert all((one / "precious").exists() for one in theirs)


def test_a_space_that_cannot_be_read_is_named_and_nothing_older_is_removed(memory, folder, now):
    good = memory.backup_all(folder, keep=1)
    memory.release("ana")
    next(memory.root.glob("ana.mnemos")).write_bytes(b"no database" * 1000)
    now.now += timedelta(days=1)
    bad = memory.backup_all(folder, keep=1)
    assert bad.files.keys() == {"a/b"}
    assert "ana" in bad.problems[0]
    assert not bad.removed
    memory.remove("ana")
    now.now += timedelta(days=1)
    newest = memory.backup_all(folder)
    assert newest.files.keys() == {"a/b"}
    assert memory.restore_all(good.folder, replace=True)[0].count() == 1


def test_a_set_that_cannot_be_finished_leaves_nothing(memory, folder, monkeypatch):
    before = list(folder.iterdir())

    def broken(path, space):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_verify", broken)
    with pytest.raises(StoreError, match="full"):
        memory.backup_all(folder)
    assert list(folder.iterdir()) == before


def test_what_a_killed_run_left_is_removed_a_day_later(memory, folder):
    part = folder / ".20230101T000000Z.part"
    part.mkdir()
    memory.backup_all(folder)
    assert part.exists(), "another run may be writing it"
    os.utime(part, (time.time() - 100_000,) * 2)
    memory.backup_all(folder)
    assert not part.exists()


def test_a_backup_is_read_back_before_it_has_its_name(memory, folder, monkeypatch):
    real = backup._verify

    def damaged(path, space):
        data = bytearray(path.read_bytes())
        data[4096:8192] = b"\xff" * 4096
        path.write_bytes(data)
        real(path, space)

    monkeypatch.setattr(backup, "_verify", damaged)
    with pytest.raises(StoreCorrupt, match="was not kept"):
        memory.backup("ana", folder / "b")
    assert list(folder.iterdir()) == []


def test_single_backups_into_a_folder_do_not_meet(memory, folder):
    paths = {memory.backup("ana", folder) for _ in range(3)}
    assert len(paths) == 3
    assert all(p.name.startswith("ana-20240101T000000Z") for p in paths)
    with pytest.raises(InvalidInput, match="root"):
        memory.backup("ana", memory.root)
    assert memory.spaces() == ["a/b", "ana"]


def test_what_is_no_folder_of_sets_is_refused(memory, folder, tmp_path):
    with pytest.raises(InvalidInput, match="not a folder"):
        memory.backup_all(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="no set"):
        memory.restore_all(folder)
    with pytest.raises(InvalidInput, match="keep"):
        memory.backup_all(folder, keep=0)


def test_damaged_rows_keep_nobody_from_being_saved(memory, folder):
    path = Path(memory.space("ana").store.path)
    damage(path, "UPDATE cubes SET metadata = 'x'")
    assert memory.backup_all(folder).files.keys() == {"ana", "a/b"}
