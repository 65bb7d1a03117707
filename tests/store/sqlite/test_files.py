"""What a process does with the files of a space besides SQLite leaves SQLite's locks alone: others lose nothing by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.serve.keys import KeyStore
from mnemos.store.sqlite import files

OTHER = """
import sys
from mnemos import Mnemos
with Mnemos(sys.argv[1], embedder="none") as memory:
    if len(sys.argv) > 2:
        memory.space("s").add(sys.argv[2], reconcile=False)
    print(*sorted(cube.text for cube in memory.space("s").cubes().items), sep="\\n")
"""
OTHER_KEYS = """
import sys
from pathlib import Path
from mnemos.serve.keys import KeyStore
keys = KeyStore.under(Path(sys.argv[1]))
keys.add(sys.argv[2], spaces=["*"], rights=["read"])
print(*sorted(key.name for key in keys.all()), sep="\\n")
keys.close()
"""


def other(code, *arguments):
    """Return the lines that another process prints."""
    run = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True)
    return run.stdout.split("\n")[:-1]


def forget(memory):
    memory.space("s").forget([memory.space("s").add("secret", reconcile=False).id])


def verify_again(memory):
    from mnemos.guard.erasure import verify

    space = memory.space("s")
    assert verify(space.store, space.forget([space.add("secret", reconcile=False).id])) == []


def open_twice(memory):
    with Mnemos(memory.root, embedder="none") as again:
        assert again.space("s").count() == 1


def look_at_names(memory):
    assert memory.spaces() == ["s"]


def check(memory):
    assert memory.space("s").doctor().healthy


def make_a_backup(memory):
    made = memory.backup("s", memory.root.parent / "backup.mnemos")
    memory.restore(made, name="restored")
    with pytest.raises(InvalidInput, match="no backup"):
        memory.restore(memory.root / "s.mnemos", name="other")


@pytest.mark.parametrize("act", [forget, verify_again, open_twice, look_at_names, check, make_a_backup])
def test_what_two_processes_write_is_there_whatever_one_did_before(tmp_path, act):
    root = tmp_path / "root"
    with Mnemos(root, embedder="none") as memory:
        space = memory.space("s")
        space.add("first", reconcile=False)
        act(memory)
        assert other(OTHER, root, "second") == ["first", "second"]  # it is not the last to use the file, and knows it
        space.add("third", reconcile=False)
        assert other(OTHER, root, "fourth") == ["first", "fourth", "second", "third"]
        assert sorted(cube.text for cube in space.cubes().items) == ["first", "fourth", "second", "third"]
    assert other(OTHER, root) == ["first", "fourth", "second", "third"]


def test_keys_made_by_two_processes_are_there_after_the_file_was_opened_twice(tmp_path):
    path = tmp_path / "root"
    keys = KeyStore.under(path)
    keys.add("first", spaces=["*"], rights=["read"])
    again = KeyStore.under(path)
    assert other(OTHER_KEYS, path, "second") == ["first", "second"]
    keys.add("third", spaces=["*"], rights=["read"])
    again.close()
    assert other(OTHER_KEYS, path, "fourth") == ["first", "fourth", "second", "third"]
    keys.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_anew_though_a_thread_was_at_work(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    with files._lock:
        child = os.fork()
        if child == 0:
            with files.using(path) as of:
                os._exit(0 if b"".join(files.blocks(path, of)) == b"1" and files._used[of].users == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors as Linux shows them")
def test_what_is_read_stays_open_as_long_as_the_file_is_in_use(tmp_path):
    path, beside = tmp_path / "a", tmp_path / "a-wal"
    path.write_bytes(b"12345")
    beside.write_bytes(b"6")
    before = descriptors()
    one, two = files.enter(path), files.enter(path)
    for _ in range(3):
        assert [b"".join(files.blocks(p, one)) for p in (path, beside)] == [b"12345", b"6"]
    beside.unlink()
    beside.write_bytes(b"78")  # another file of the same name
    assert b"".join(files.blocks(beside, two)) == b"78"
    files.leave(one)
    assert descriptors() == before + 3
    files.leave(two)
    assert descriptors() == before


def test_long_files_come_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 4)
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with files.using(path) as of:
        assert list(files.blocks(path, of)) == [b"0123", b"4567", b"89"]


def test_a_file_is_made_for_this_user_alone_and_one_that_is_there_stays(tmp_path):
    path = tmp_path / "a"
    files.make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"1")
    files.make(path)
    assert path.read_bytes() == b"1"
