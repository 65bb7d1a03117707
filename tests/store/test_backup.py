import threading

import pytest

from mnemos import Mnemos
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


def test_a_backup_brings_everything_back(memory, tmp_path):
    ana = memory.space("ana")
    ana.add("I live in Porto.", speaker="Ana")
    moved = ana.add("I moved to Faro.", speaker="Ana")
    before = list(ana.dump())
    path = memory.backup("ana", tmp_path / "ana.backup")
    ana.forget(everything=True)
    again = memory.restore(path, replace=True)
    assert list(again.dump()) == before
    assert again.search("Where does Ana live?")[0].cube.id == moved.id
    assert again.doctor().healthy
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_backup_can_be_restored_under_another_name_beside_the_first(memory, tmp_path):
    memory.space("a/b").add("one")
    path = memory.backup("a/b", tmp_path)
    assert memory.restore(path, name="copy").cubes().items[0].text == "one"
    with pytest.raises(Conflict, match="already"):
        memory.restore(path)
    assert memory.spaces() == ["a/b", "copy"]


def test_what_was_erased_is_not_in_a_backup(memory, tmp_path):
    space = memory.space("ana")
    cubes = space.add_many({"content": f"secret number {i} of many"} for i in range(200))
    space.forget([c.id for c in cubes[:-1]])
    data = memory.backup("ana", tmp_path / "b").read_bytes()
    assert b"secret number 199" in data
    assert b"secret number 17 " not in data


def test_a_backup_while_others_write_is_a_moment_of_the_space(memory, tmp_path):
    space = memory.space("ana")
    stop = threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            space.add_many([{"content": f"pair {i} {half}"} for half in "ab"], reconcile=False)
            i += 1

    worker = threading.Thread(target=write)
    worker.start()
    try:
        paths = [memory.backup("ana", tmp_path / f"b{i}") for i in range(3)]
    finally:
        stop.set()
        worker.join()
    for i, path in enumerate(paths):
        copy = memory.restore(path, name=f"copy{i}")
        assert copy.count() % 2 == 0  # no half of a batch
        assert copy.doctor().healthy


def test_what_is_no_backup_is_refused_and_changes_nothing(memory, tmp_path):
    memory.space("ana").add("keep me")
    path = memory.backup("ana", tmp_path / "b")
    with pytest.raises(InvalidInput, match="already"):
        memory.backup("ana", path)
    with pytest.raises(NotFound):
        memory.backup("nobody", tmp_path / "c")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InvalidInput, match="not a backup"):
        memory.restore(tmp_path / "text", replace=True)
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 20] = b"x" * (4096 * 17)
    path.write_bytes(data)
    with pytest.raises(MnemosError):
        memory.restore(path, replace=True)
    assert [c.text for c in memory.space("ana").cubes().items] == ["keep me"]
    assert sorted(p.name for p in memory.root.iterdir() if "restoring" in p.name) == []
