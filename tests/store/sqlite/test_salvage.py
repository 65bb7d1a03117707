"""Damaged pages: a clear message, a survey, and everything that can be read in a new file beside the damaged one."""

import contextlib
import struct
import subprocess
import sys
import warnings

import pytest

from mnemos import Mnemos
from mnemos.errors import MnemosError, NotFound, StoreCorrupt

N, PAGE = 120, 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    with Mnemos(folder, embedder="hashing:16") as memory:
        space = memory.space("ana")
        space.add_many(
            [
                {"content": f"Note {i}: Rita{i} lives in Town{i}. " + "tea " * 60, "session": f"s{i % 7}"}
                for i in range(N)
            ]
        )
        space.trust = {"https://*": 0}
    return next(folder.glob("*.mnemos")).read_bytes()


def pages(data):
    return len(data) // PAGE


def damaged(tmp_path, data, *numbers, fill=b"\xa5"):
    data = bytearray(data)
    for n in numbers:
        data[n * PAGE : (n + 1) * PAGE] = fill * PAGE
    path = tmp_path / "ana.mnemos"
    path.write_bytes(data)
    return path


def of_schema(data):
    """Return the numbers of the pages below the first that describe the tables, from 0."""
    cells = struct.unpack_from(f">{int.from_bytes(data[103:105])}H", data, 112)
    return [int.from_bytes(data[at : at + 4]) - 1 for at in (*cells, 108)]


def doctor(memory, *, repair):
    """Check a space as `mnemos doctor` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return memory.space("ana").doctor(repair=repair)
        except StoreCorrupt:
            assert repair, "only a file that cannot be opened"
            memory.salvage("ana")
            return memory.space("ana").doctor(repair=True)


# every eleventh page, and the first after the head: leaves and inner pages of tables and of indexes
@pytest.mark.parametrize("number", [1, *range(2, 60, 5)])
def test_one_damaged_page_costs_at_most_what_is_on_it(tmp_path, sound, number):
    if number >= pages(sound):
        pytest.skip("the file is smaller")
    path = damaged(tmp_path, sound, number)
    before = path.read_bytes()
    with Mnemos(tmp_path, embedder="hashing:16") as memory:
        with contextlib.suppress(StoreCorrupt, NotFound):  # never a traceback of another kind
            space = memory.space("ana")
            list(space.cubes())
            space.search("Rita")
            list(space.dump())
            space.forget(["nobody"])
        if number not in of_schema(sound):  # else the space cannot be opened
            report = doctor(memory, repair=False)
            assert report.problems or len(list(space.cubes())) == N
        doctor(memory, repair=True)
        assert doctor(memory, repair=True).healthy
        texts = {c.text[:8] for c in memory.space("ana").cubes()}
        assert len(texts) >= N - 40, "a leaf holds some ten notes, an inner page of the table some forty"
        assert len(memory.space("ana").search("Rita tea", 50)) == 50
        assert memory.space("ana").add("A new note.").text
    at = slice(number * PAGE, (number + 1) * PAGE)
    for kept in tmp_path.glob("ana.mnemos.damaged-*"):
        assert number == 1 or kept.name.endswith("-wal") or kept.read_bytes()[at] == before[at]


def test_several_damaged_pages_and_what_is_said(tmp_path, sound):
    damaged(tmp_path, sound, *range(20, 28))
    with Mnemos(tmp_path, embedder="hashing:16") as memory:
        report = doctor(memory, repair=False)
        assert not report.healthy
        assert any("can be read" in note and "doctor --repair" in note for note in report.notes)
        assert doctor(memory, repair=True).healthy
        assert len({c.id for c in memory.space("ana").cubes()}) > N // 2


def test_a_head_that_is_damaged_is_put_back(tmp_path, sound):
    path = tmp_path / "ana.mnemos"
    path.write_bytes(b"SQLitf" + sound[6:])
    with Mnemos(tmp_path, embedder="hashing:16") as memory:
        with pytest.raises(StoreCorrupt, match="not an SQLite file"):
            memory.space("ana")
        assert doctor(memory, repair=True).healthy
        assert memory.space("ana").count() == N
        assert memory.space("ana").trust == {"https://*": 0}


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_page_that_describes_the_tables_is_put_back(tmp_path, sound, which):
    assert sound[100] == 5, "the descriptions need more than the first page"
    damaged(tmp_path, sound, of_schema(sound)[which])
    with Mnemos(tmp_path, embedder="hashing:16") as memory:
        with pytest.raises(StoreCorrupt):
            memory.space("ana")
        assert doctor(memory, repair=True).healthy
        assert memory.space("ana").count() == N
        assert memory.space("ana").trust == {"https://*": 0}


@pytest.mark.parametrize("which", [0, 1])
def test_tables_that_a_new_file_describes_otherwise_are_not_guessed(tmp_path, sound, which):
    data = bytearray(sound)
    other = of_schema(sound)[1 - which] * PAGE
    at = data.index(b"CREATE", other, other + PAGE)
    data[at : at + 6] = b"CREATe"  # as a file of another version has it
    path = damaged(tmp_path, data, of_schema(sound)[which])
    before = path.read_bytes()
    with Mnemos(tmp_path, embedder="none") as memory, pytest.raises(MnemosError, match="Restore the space"):
        memory.salvage("ana")
    assert path.read_bytes() == before
    assert not [p.name for p in tmp_path.iterdir() if not p.name.startswith(("ana.mnemos", ".reserve"))]


def test_a_file_of_which_nothing_can_be_read_is_left_as_it_is(tmp_path, sound):
    path = damaged(tmp_path, sound, 0)
    before = path.read_bytes()
    with (
        Mnemos(tmp_path, embedder="none") as memory,
        pytest.raises(MnemosError, match="Restore the space from a backup"),
    ):
        memory.salvage("ana")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".reserve", "ana.mnemos"]


def test_damaged_files_that_were_kept_are_removed_with_their_space(tmp_path, sound):
    with Mnemos(tmp_path, embedder="none") as memory:
        for _ in range(3):  # within a second
            memory.release("ana")
            damaged(tmp_path, sound, 20)
            memory.salvage("ana")
        assert len({p.name.removesuffix("-wal") for p in tmp_path.glob("*damaged*")}) == 3
        memory.remove("ana")
    assert [p.name for p in tmp_path.iterdir()] == [".reserve"]


def test_the_command_says_what_was_saved_and_where_the_rest_is(tmp_path, sound):
    damaged(tmp_path, sound, *range(20, 24))
    run = [sys.executable, "-c", "from mnemos.cli import main; main()", "doctor", "--root", str(tmp_path), "-s", "ana"]
    first = subprocess.run([*run, "--embedder", "none"], capture_output=True, text=True, check=False)
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    second = subprocess.run([*run, "--repair", "--embedder", "none"], capture_output=True, text=True, check=False)
    assert "Traceback" not in second.stderr
    assert "saved:" in second.stdout
    assert "damaged-" in second.stdout
