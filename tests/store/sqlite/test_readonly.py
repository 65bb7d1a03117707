"""A root that cannot be written is searched, listed, exported and verified; nothing in it changes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from mnemos import Mnemos, Policy
from mnemos.errors import MnemosError, ReadOnly

TEXTS = ["I moved to Lisbon last May.", "My sister Rita has a new dog.", "The boiler was serviced on 3 May."]
READ = """
import json, sys, warnings
from pathlib import Path
from mnemos import Mnemos
from mnemos.errors import ReadOnly
from mnemos.guard.erasure import Receipt
from mnemos.transfer.archive import export_jsonl, export_space
from mnemos.transfer.pages import export_markdown
root, out, asked = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "asked"
receipt = Receipt.from_json((out / "receipt.json").read_text())
with Mnemos(root, embedder="none", read_only=asked) as memory:
    space = memory.space("ana")
    found = {
        "spaces": memory.spaces(), "search": [h.cube.text for h in space.search("Where is Rita's dog?", k=1)],
        "all": [h.cube.text for h in memory.search("Lisbon", 1, spaces=["ana"])], "cubes": [c.text for c in space.cubes()],
        "context": "boiler" in space.context("boiler"), "facts": len(space.facts()), "count": space.count(),
        "verify": space.verify(receipt), "audit": space.verify_audit()[1], "problems": space.doctor().problems,
        "newest": len(space.inspect.newest().items),
        "dump": len(list(space.dump())), "stats": space.stats()["cubes"], "policy": space.policy.cubes,
    }
    memory.backup("ana", out / "copy.mnemos")
    exports = {export_jsonl: "ana.jsonl", export_space: "ana.zip", export_markdown: "notes"}
    found["exported"] = [export(space, out / name) for export, name in exports.items()]
    refused = {}
    for name, write in {
        "add": lambda: space.add("more"), "update": lambda: space.update("c0", content="less"),
        "delete": lambda: space.delete("c0"),
        "forget": lambda: space.forget(["c0"]), "pin": lambda: space.pin("c0"), "archive": lambda: space.archive(["c0"]),
        "trust": lambda: setattr(space, "trust", {"web:*": 0}), "consolidate": space.consolidate, "policy": space.apply_policy,
    }.items():
        try:
            write()
        except ReadOnly as error:
            refused[name] = str(error)
    for _ in range(1500):
        space.search("Lisbon", k=1)  # recalls that nobody can write
found["refused"] = refused
print(json.dumps(found))
"""


def tree(root):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in root.iterdir()}


@pytest.fixture
def root(tmp_path):
    """A root with a space from which a cube was erased, and one more cube than its policy allows."""
    root = tmp_path / "root"
    with Mnemos(root, embedder="none") as memory:
        space = memory.space("ana")
        space.add_many([{"content": text, "id": f"c{i}"} for i, text in enumerate(TEXTS)])
        gone = space.add("Rita's phone number is secret.")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "receipt.json").write_text(space.forget([gone.id]).to_json())
        space.policy = Policy(cubes=2)
    yield root
    for path in (root, *root.iterdir()):
        path.chmod(0o700)


def leave_a_log(root):
    """Write one more cube and leave it in the write-ahead log, without its index, as a power cut or a copy does."""
    with Mnemos(root, embedder="none") as memory:
        memory.space("ana").add("A last word in the log.", id="c9")
        kept = root.parent / "kept"
        shutil.copytree(root, kept)
    for path in root.iterdir():
        path.unlink()
    for path in kept.iterdir():
        if not path.name.endswith("-shm"):
            shutil.copy(path, root / path.name)
    assert (root / "ana.mnemos-wal").stat().st_size


def command(root, way):
    """Return what makes a process unable to write the root, root or not."""
    if way == "modes":
        for path in root.iterdir():
            path.chmod(0o444)
        root.chmod(0o555)
        drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
        return drop if os.geteuid() == 0 else []
    if way == "mount":
        ro = f"mount --bind '{root}' '{root}' && mount -o remount,ro,bind '{root}' && exec \"$@\""
        return ["unshare", "-m", "sh", "-c", ro, "sh"]
    return []


@pytest.mark.skipif(sys.platform != "linux", reason="mounts and capabilities are Linux's")
@pytest.mark.parametrize("state", ["closed", "with a log"])
@pytest.mark.parametrize("way", ["asked", "modes", "mount"])
def test_what_reads_works_and_what_writes_is_refused(root, way, state):
    if state == "with a log":
        leave_a_log(root)
    wrapper = command(root, way)
    if wrapper and subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip(f"{wrapper[0]} is not allowed here")
    before = tree(root)
    ran = subprocess.run(
        [*wrapper, sys.executable, "-c", READ, str(root), str(root.parent / "out"), way], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    refused = found.pop("refused")
    texts = TEXTS + ["A last word in the log."] * (state == "with a log")
    assert found == {
        "spaces": ["ana"], "search": [TEXTS[1]], "all": [TEXTS[0]], "cubes": texts, "context": True, "facts": found["facts"],
        "count": len(texts), "verify": [], "audit": [], "problems": [], "newest": len(texts), "dump": len(texts),
        "stats": len(texts), "policy": 2, "exported": [len(texts)] * 3,
    }  # fmt: skip
    assert found["facts"] > 0
    assert refused.keys() == {"add", "update", "delete", "forget", "pin", "archive", "trust", "consolidate", "policy"}
    assert all("nothing was written" in message for message in refused.values())
    if way == "asked":
        assert tree(root) | before == tree(root), "files that were there changed"
    else:
        assert tree(root) == before
    with Mnemos(root.parent / "elsewhere", embedder="none") as memory:
        assert [c.text for c in memory.restore(root.parent / "out" / "copy.mnemos").cubes()] == texts


def test_a_space_that_is_not_there_is_not_made(root):
    with Mnemos(root, embedder="none", read_only=True) as memory:
        with pytest.raises(ReadOnly, match="no space is made"):
            memory.space("ben")
        assert not list(root.glob("ben*"))
    with pytest.raises(ReadOnly, match="is not made"):
        Mnemos(root / "nowhere", read_only=True)


def test_a_reader_sees_what_others_write_meanwhile(root):
    with Mnemos(root, embedder="none", read_only=True) as reader, Mnemos(root, embedder="none") as writer:
        assert reader.space("ana").count() == 3
        writer.space("ana").add("One more.", id="c8")
        assert reader.space("ana").search("more")[0].cube.id == "c8"
        writer.close()
        with Mnemos(root, embedder="none") as again:
            again.space("ana").add("And another.", id="c7")
        assert reader.space("ana").search("another")[0].cube.id == "c7"


@pytest.fixture
def failed(monkeypatch):
    """Let nobody read a file with the index of its log; return what was tried."""
    import sqlite3

    from mnemos.store.sqlite import readonly

    connect, failed = readonly._connect, []

    def without_an_index(uri):
        if uri.endswith("?mode=ro"):
            failed.append(uri)
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return connect(uri)

    monkeypatch.setattr(readonly, "_connect", without_an_index)
    return failed


@pytest.mark.parametrize("log", [False, True])
def test_a_file_that_changes_under_a_reader_of_the_file_itself_is_read_again(root, log, failed):
    if log:
        leave_a_log(root)
    with Mnemos(root, embedder="none", read_only=True) as reader:
        assert reader.space("ana").count() == 3 + log
        with Mnemos(root, embedder="none") as writer:
            writer.space("ana").add("One more.", id="c8")
            assert reader.space("ana").search("more")[0].cube.id == "c8"  # from the log of the writer
        assert reader.space("ana").count() == 4 + log
    assert failed


def test_a_file_that_goes_away_under_a_reader_is_missed_each_time_and_read_when_it_is_back(root, failed):
    with Mnemos(root, embedder="none", read_only=True) as reader:
        space = reader.space("ana")
        assert space.count() == 3
        away = (root / "ana.mnemos").rename(root.parent / "away")
        for _ in range(2):
            with pytest.raises(ReadOnly, match="no space is made"):
                space.count()
        away.rename(root / "ana.mnemos")
        assert space.count() == 3
        away = (root / "ana.mnemos").rename(root.parent / "away")
        with pytest.raises(ReadOnly):
            space.count()
    assert failed


def test_an_older_file_is_read_from_a_migrated_copy(root):
    import sqlite3

    db = sqlite3.connect(root / "ana.mnemos")
    db.execute("ALTER TABLE cubes DROP COLUMN zone")  # what version 5 added
    db.execute("DROP TABLE readings")  # version 7
    db.execute("PRAGMA user_version = 4")
    db.execute("DELETE FROM _sqlite_migrations WHERE name >= '0005'")
    db.commit()
    db.close()
    before = tree(root)
    with Mnemos(root, embedder="none", read_only=True) as memory:
        assert memory.space("ana").search("Lisbon")[0].cube.text == TEXTS[0]
    assert tree(root)["ana.mnemos"] == before["ana.mnemos"]


def test_a_server_answers_403_to_a_write(root):
    pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
    from mnemos.serve.problems import of_error

    with Mnemos(root, embedder="none", read_only=True) as memory, pytest.raises(MnemosError) as caught:
        memory.space("ana").add("more")
    assert of_error(caught.value).status_code == 403


def test_what_is_only_unwritable_for_now_is_written_after_it_is_opened_again(root, monkeypatch):
    from mnemos.store.sqlite import connection

    monkeypatch.setattr(connection, "writable", lambda path: False)
    with Mnemos(root, embedder="none") as memory:
        with pytest.raises(ReadOnly, match="open the space again"):
            memory.space("ana").add("more")
        monkeypatch.undo()
        memory.release("ana")
        memory.space("ana").add("more")
        assert memory.space("ana").count() == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_writes_what_its_parent_could_only_read_when_it_was_opened(root, monkeypatch):
    from mnemos.store.sqlite import connection

    monkeypatch.setattr(connection, "writable", lambda path: False)
    with Mnemos(root, embedder="none") as memory:
        space = memory.space("ana")
        assert space.count() == 3
        monkeypatch.undo()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                space.add("From the child.", id="c8")
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert space.count() == 4


def test_temporary_copies_are_removed(root, failed, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    leave_a_log(root)
    with Mnemos(root, embedder="none", read_only=True) as memory:
        assert memory.space("ana").count() == 4
        assert len(list(tmp_path.glob("mnemos-read-*"))) == 1
    assert not list(tmp_path.glob("mnemos-read-*"))
    assert failed
