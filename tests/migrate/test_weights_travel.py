"""Weights in archives and in a moved root: they arrive with the texts they were learned from, or not at all."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos import Mnemos
from mnemos.errors import InvalidInput, StoreCorrupt
from mnemos.store.open import open_root
from mnemos.transfer import export_space, import_path
from mnemos.transfer.move import move
from tests.migrate import low_rank
from tests.migrate.low_rank import learn, says, tiny


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture
def memory(tmp_path, monkeypatch):
    low_rank.use(monkeypatch.setattr)
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


@pytest.fixture
def archive(memory, model, tmp_path):
    """Two texts, and weights of each."""
    space = memory.space("ana")
    for seed, text in enumerate(("I moved to Faro.", "I have a dog called Bolt.")):
        learn(space, model, [space.add(text, reconcile=False)], seed)
    assert export_space(space, tmp_path / "a.zip") == 4
    return tmp_path / "a.zip"


def change(path, name, edit):
    """Write an archive again with a member changed."""
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()}
    found = next(n for n in members if n.startswith(name))
    members[found] = edit(members[found])
    with zipfile.ZipFile(path, "w") as new:
        for n, data in members.items():
            new.writestr(n, data)


def test_they_come_back_and_answer_the_same(memory, model, archive):
    space, other = memory.space("ana"), memory.space("new")
    with space.weights.attached(model):
        expected = says(model)
    report = import_path(other, archive)
    assert (report.read, report.added, report.problems) == (4, 4, [])
    assert [w.id for w in other.weights.list()] == [w.id for w in space.weights.list()]
    with pytest.warns(RuntimeWarning, match="came with an import"), other.weights.attached(model) as attachment:
        assert attachment.cubes == (), "nobody has measured here what a file brought"
    with other.weights.attached(model, *other.weights.list()):
        assert torch.equal(says(model), expected)
    assert import_path(other, archive).skipped == 4


def test_what_was_erased_here_is_not_brought_back(memory, model, archive):
    space = memory.space("ana")
    text, weights = next(iter(space.cubes())), space.weights.list()
    mine = [w for w in weights if text.id in w.parents]
    space.forget([text.id])
    assert space.weights.list() == [w for w in weights if w not in mine]
    import_path(space, archive)
    assert space.weights.list() == [w for w in weights if w not in mine]
    import_path(space, archive, restore_erased=True)
    assert len(space.weights.list()) == 2


def test_weights_of_a_text_that_is_another_here_stay_behind(memory, archive):
    other = memory.space("new")
    import_path(other, archive)
    gone = other.weights.list()[0]
    other.weights.remove(gone)
    other.update(gone.parents[0], content="I moved to Porto.")
    report = import_path(other, archive, restore_erased=True)
    assert "updated" in str(report.problems[0])
    assert gone.id not in {w.id for w in other.weights.list()}


def without_a_parent(line):
    rows = [json.loads(row) for row in line.splitlines()]
    rows[0]["parents"] = []
    return b"\n".join(json.dumps(row).encode() for row in rows) + b"\n"


def test_changed_archives_bring_no_weights(memory, archive):
    space = memory.space("new")
    change(archive, "weights/", lambda data: data[:-1] + b"!")
    report = import_path(space, archive)
    assert "damaged" in str(report.problems[0])
    assert len(space.weights.list()) == 1
    assert space.store.blobs.ids() == {w.id for w in space.weights.list()}
    change(archive, "weights.jsonl", without_a_parent)
    with pytest.raises(InvalidInput, match="checksum"):
        import_path(memory.space("third"), archive)
    assert memory.space("third").count() == 0


def test_damaged_weights_are_not_exported(memory, archive, tmp_path):
    space = memory.space("ana")
    space.store.blobs.path(space.weights.list()[0].id).write_bytes(b"nothing")
    with pytest.warns(RuntimeWarning, match="not exported"):
        assert export_space(space, tmp_path / "b.zip") == 3


@pytest.fixture
def backup(memory, model, tmp_path):
    space = memory.space("ana")
    space.add("I moved to Faro.", speaker="Ana")
    learn(space, model, list(space.cubes()), seed=1)
    return memory.backup("ana", tmp_path / "ana.backup")


def said(space, model, *cubes):
    with space.weights.attached(model, *cubes):
        return says(model)


@pytest.mark.parametrize("replace", [True, False])
def test_a_backup_has_them_and_they_are_trusted_if_it_is(memory, model, backup, tmp_path, replace):
    plain, before = says(model), said(memory.space("ana"), model)
    assert not torch.equal(plain, before)
    where = memory if replace else Mnemos(tmp_path / "elsewhere", embedder="none")
    with pytest.warns(UserWarning, match="1 weights were measured elsewhere"):
        space = where.restore(backup, replace=replace)
    [cube] = space.weights.list()
    with pytest.warns(RuntimeWarning, match="came with an import"):
        assert torch.equal(said(space, model), plain)
    assert torch.equal(said(space, model, cube), before)
    space = where.restore(backup, replace=True, settings=True)
    assert torch.equal(said(space, model), before)
    assert space.doctor().healthy
    assert [p.name for p in tmp_path.rglob(".*restoring*")] == []
    if not replace:
        where.close()


def test_a_backup_is_without_weights_that_were_erased_and_says_which_are_missing(memory, model, backup, tmp_path):
    space = memory.space("ana")
    [cube] = space.weights.list()
    space.store.blobs.drop([cube.id])
    with pytest.warns(RuntimeWarning, match=cube.id):
        memory.backup("ana", tmp_path / "second")
    space.weights.remove(cube)
    bare = memory.restore(memory.backup("ana", tmp_path / "third"), name="bare")
    assert bare.weights.list() == []
    assert bare.store.blobs.ids() == set()


def test_a_changed_backup_brings_no_payload_of_another_cube_and_no_changed_one(memory, model, backup):
    [cube] = memory.space("ana").weights.list()
    with closing(sqlite3.connect(backup)) as db:
        db.execute("INSERT INTO payloads VALUES ('aaaaaaaaaaaaaaaa', x'00'), ('../../evil', x'00')")
        db.execute("UPDATE payloads SET data = x'01' WHERE id = ?", (cube.id,))
        db.commit()
    space = memory.restore(backup, replace=True, settings=True)
    assert space.store.blobs.ids() == {cube.id}
    with pytest.raises(StoreCorrupt), space.weights.attached(model, cube.id):
        pass


@pytest.mark.sqlite_only("moves files")
def test_a_moved_root_has_them(memory, model, archive, tmp_path):
    space = memory.space("ana")
    with space.weights.attached(model):
        expected = says(model)
    old, new = (open_root(tmp_path / name, "test", space.clock) for name in ("root", "moved"))
    list(move(old, new))
    with Mnemos(tmp_path / "moved", embedder="none") as moved, moved.space("ana").weights.attached(model):
        assert torch.equal(says(model), expected)
