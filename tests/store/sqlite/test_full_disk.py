"""A disk without room: a small tmpfs in a namespace of its own, filled to the last byte by a child process."""

import subprocess
import sys

import pytest

from mnemos import Mnemos
from mnemos.errors import StoreFull
from mnemos.store import reserve
from mnemos.store.causes import of_system

MOUNT = "mount -t tmpfs -o size={} tmpfs {} && exec {} -c '{}' {}"
START = """
import os, sys
from pathlib import Path
from mnemos import Mnemos
from mnemos.errors import StoreFull
disk = Path(sys.argv[1])
root = disk / "root"
def fill(name):
    file = os.open(disk / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(file, bytes(size))
        except OSError:
            pass
    os.close(file)
def refused(what):
    try:
        what()
    except StoreFull as error:
        assert "full" in str(error) and "ermission" not in str(error), error
    else:
        raise AssertionError("it was stored")
def memories(space, n):
    return space.add_many([{"content": f"memory number {i} " + "word " * 50} for i in range(n)], reconcile=False)
with Mnemos(root, embedder="none") as memory:
    cubes = memories(memory.space("ana"), 200)
    os.mkdir(disk / "other")
"""


def on_full_disk(tmp_path, script, size="6M"):
    """Run a script after START on a small disk of its own."""
    command = MOUNT.format(size, tmp_path, sys.executable, (START + script).replace("'", '"'), tmp_path)
    done = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", autouse=True)
def small_disks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    command = MOUNT.format("1M", folder, sys.executable, "pass", folder)
    try:
        possible = (
            subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        possible = False
    if not possible:
        pytest.skip("no disk can be mounted here")


def test_deleting_and_forgetting_work_and_make_room(tmp_path):
    on_full_disk(
        tmp_path,
        """
memory = Mnemos(root, embedder="none")
space = memory.space("ana")
fill("ballast")
refused(lambda: space.add("new " * 3000))
refused(lambda: space.update(cubes[0].id, content="x" * 9000))
assert len(space.search("memory", 5)) == 5
assert list(space.delete(cubes[0].id)) == [cubes[0].id]
receipt = space.forget([c.id for c in cubes[1:190]])
assert receipt.verified and len(receipt.ids) == 189, receipt
assert space.add("there is room again").text
assert space.doctor().healthy
memory.close()
""",
    )


def test_a_process_that_starts_on_a_full_disk_can_read_and_forget(tmp_path):
    on_full_disk(
        tmp_path,
        """
fill("ballast")
memory = Mnemos(root, embedder="none")
assert memory.spaces() == ["ana"]
space = memory.space("ana")
assert len(space.search("memory", 5)) == 5
assert space.forget([cubes[3].id]).verified
space.forget(everything=True)
assert space.count() == 0
memory.remove("ana")
assert memory.spaces() == []
memory.close()
""",
    )


def test_without_a_reserve_a_full_disk_is_still_read_and_written_to_once_there_is_room(tmp_path):
    on_full_disk(
        tmp_path,
        """
os.unlink(root / ".reserve")
fill("ballast")
memory = Mnemos(root, embedder="none")
space = memory.space("ana")
assert len(space.search("memory", 5)) == 5 and len(list(space.cubes())) == 200
refused(lambda: space.add("more"))
os.unlink(disk / "ballast")
assert space.add("there is room again").text
assert space.count() == 201
memory.close()
""",
    )


def test_a_space_that_cannot_be_made_leaves_no_file(tmp_path):
    on_full_disk(
        tmp_path,
        """
memory = Mnemos(root, embedder="none")
memory.space("ana")
fill("ballast")
before = sorted(p.name for p in root.iterdir())
refused(lambda: memory.space("bob"))
refused(lambda: memory.backup("ana", disk / "other" / "ana.backup"))
assert sorted(p.name for p in root.iterdir()) == before
assert list((disk / "other").iterdir()) == []
assert memory.spaces() == ["ana"] and "bob" not in memory
os.unlink(disk / "ballast")
assert memory.space("bob").add("hello").text == "hello"
memory.close()
""",
    )


def test_what_cannot_be_restored_or_salvaged_for_want_of_room_is_as_it_was(tmp_path):
    on_full_disk(
        tmp_path,
        """
memory = Mnemos(root, embedder="none")
backup = memory.backup("ana", disk / "other" / "ana.backup")
fill("ballast")
def files():
    return sorted(p.name for p in root.iterdir() if not p.name.endswith(("-wal", "-shm")))
before = files()
refused(lambda: memory.restore(backup, name="bob"))
refused(lambda: memory.restore(backup, replace=True))
refused(lambda: memory.salvage("ana"))
size = os.path.getsize(root / "ana.mnemos")
os.truncate(disk / "ballast", os.path.getsize(disk / "ballast") - size * 3 // 4)
refused(lambda: memory.salvage("ana"))  # there is room for the tables, and none for the rows
assert files() == before, files()
assert memory.space("ana").count() == 200
memory.close()
""",
    )


def test_searching_and_closing_go_on_though_recalls_cannot_be_written(tmp_path):
    on_full_disk(
        tmp_path,
        """
memory = Mnemos(root, embedder="none")
space = memory.space("ana")
space.search("memory")
fill("ballast")
for i in range(400):
    space.search(f"memory number {i}")
memory.close()
os.unlink(disk / "ballast")
with Mnemos(root, embedder="none") as memory:
    assert memory.space("ana").count() == 200
    assert memory.space("ana").doctor().healthy
""",
    )


@pytest.mark.parametrize("code", [28, 27, 122])  # ENOSPC, EFBIG, EDQUOT
def test_what_the_system_says_of_room_is_a_full_disk(code, tmp_path):
    assert isinstance(of_system(OSError(code, "no"), tmp_path), StoreFull)


def test_the_reserve_is_kept_and_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(reserve, "SIZE", 2 * 1024 * 1024)
    with Mnemos(tmp_path, embedder="none"):
        assert (tmp_path / reserve.NAME).stat().st_size == reserve.SIZE
    assert reserve.release(tmp_path)
    assert not reserve.release(tmp_path)
    with Mnemos(tmp_path, embedder="none"):
        assert (tmp_path / reserve.NAME).exists()
