import json
import stat
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import Conflict, InvalidInput, MnemosError, StoreError
from mnemos.transfer import export_jsonl, export_markdown, export_space, import_path

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda c: st.lists(c, max_size=3),
    max_leaves=5,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"content": st.text(min_size=1, max_size=30).filter(str.strip)},
        optional={
            "speaker": st.text(min_size=1, max_size=8), "session": st.text(min_size=1, max_size=8),
            "metadata": st.dictionaries(st.text(max_size=5), json_values, max_size=3),
            "at": st.datetimes().filter(lambda t: 2 <= t.year <= 9998),
        },
    ),
    max_size=5,
)  # fmt: skip


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


def everything(space):
    return [
        {
            **record,
            "cube": {**record["cube"], "space": ""},
            "versions": [{**v, "space": ""} for v in record["versions"]],
        }
        for record in space.dump()
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages, st.data())
def test_an_archive_holds_everything_and_importing_twice_changes_nothing(tmp_path_factory, given_messages, data):
    folder = tmp_path_factory.mktemp("archive")
    with Mnemos(folder, embedder="none") as memory:
        space, other = memory.space("a"), memory.space("b")
        cubes = space.add_many(given_messages, reconcile=False)
        cubes = list({c.id: c for c in cubes}.values())  # the same message twice is one write
        for cube in cubes[: data.draw(st.integers(0, len(cubes)))]:
            space.update(cube.id, content=cube.text + " again")
        assert export_space(space, folder / "a.zip") == len(cubes)
        first = import_path(other, folder / "a.zip")
        assert (first.format, first.added, first.skipped) == ("archive", len(cubes), 0)
        assert everything(other) == everything(space)
        assert import_path(other, folder / "a.zip").added == 0
        assert everything(other) == everything(space)


def test_the_same_space_gives_the_same_bytes_and_only_its_owner_may_read_them(memory, tmp_path):
    space = memory.space("a")
    space.add_many({"content": f"text {i}"} for i in range(20))
    for name in ("1.zip", "2.zip"):
        export_space(space, tmp_path / name)
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert stat.S_IMODE((tmp_path / "1.zip").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_a_longer_history_wins_and_another_one_is_a_conflict(memory, tmp_path):
    space, other = memory.space("a"), memory.space("b")
    space.add("one", id="x")
    export_space(space, tmp_path / "old.zip")
    space.update("x", content="two")
    export_space(space, tmp_path / "new.zip")
    import_path(other, tmp_path / "old.zip")
    assert import_path(other, tmp_path / "new.zip").added == 1
    assert [c.text for c in other.history("x")] == ["one", "two"]
    assert import_path(other, tmp_path / "old.zip").added == 0
    third = memory.space("c")
    third.add("something else", id="x")
    with pytest.raises(Conflict, match="another history"):
        import_path(third, tmp_path / "new.zip")
    assert [c.text for c in third.history("x")] == ["something else"]


@pytest.fixture
def archive(memory, tmp_path):
    memory.space("a").add_many({"content": f"text number {i} " * 5} for i in range(50))
    export_space(memory.space("a"), tmp_path / "a.zip")
    return tmp_path / "a.zip"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_archive_is_refused(archive, memory, share):
    data = archive.read_bytes()
    archive.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InvalidInput):
        import_path(memory.space("b"), archive)
    assert memory.space("b").count() == 0


@pytest.mark.parametrize("place", range(40, 400, 40))
def test_a_flipped_byte_is_noticed(archive, memory, place):
    data = bytearray(archive.read_bytes())
    data[place] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(MnemosError):
        import_path(memory.space("b"), archive)
    assert memory.space("b").count() == 0


def rewrite(path, change):
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)


def test_changed_missing_and_newer_parts_are_refused(archive, memory):
    original = archive.read_bytes()
    manifest = json.loads(zipfile.ZipFile(archive).read("MANIFEST.json"))
    changes = {
        "checksum": lambda p: p.update({"cubes.jsonl": p["cubes.jsonl"].replace(b"number 7", b"number 8")}),
        "missing": lambda p: p.pop("cubes.jsonl"),
        "Upgrade Mnemos": lambda p: p.update({"MANIFEST.json": json.dumps({**manifest, "version": 2}).encode()}),
        "another format": lambda p: p.update({"MANIFEST.json": b'{"format": "other"}'}),
        "would unpack": lambda p: p.update({"cubes.jsonl": b" " * 50_000_000}),
    }
    for message, change in changes.items():
        archive.write_bytes(original)
        rewrite(archive, change)
        with pytest.raises(InvalidInput, match=message):
            import_path(memory.space("b"), archive)
    assert memory.space("b").count() == 0


def test_an_export_that_cannot_be_written_leaves_what_was_there(memory, tmp_path):
    memory.space("a").add("x")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(StoreError, match="choose another path"):
        export_space(memory.space("a"), tmp_path / "file" / "a.zip")
    assert (tmp_path / "file").read_text() == "kept"


def test_jsonl_has_a_current_cube_a_line(memory, tmp_path):
    space = memory.space("a")
    space.add("one\nline", id="x")
    space.update("x", content="two\u2028lines")
    assert export_jsonl(space, tmp_path / "a.jsonl") == 1
    (line,) = (tmp_path / "a.jsonl").read_text(encoding="utf-8").strip().split("\n")
    assert (json.loads(line)["text"], json.loads(line)["version"]) == ("two\u2028lines", 2)


def test_half_a_surrogate_pair_in_the_metadata_is_exported_and_comes_back(memory, tmp_path):
    space, other = memory.space("a"), memory.space("b")
    space.add("x", id="x", metadata={"k": "\ud800"})
    assert export_jsonl(space, tmp_path / "a.jsonl") == 1
    export_space(space, tmp_path / "a.zip")
    import_path(other, tmp_path / "a.zip")
    assert other.get("x").metadata == {"k": "\ud800"}


def test_markdown_has_a_file_a_session_whatever_it_is_called_and_quotes_what_was_said(memory, tmp_path):
    space = memory.space("a")
    space.add("later", session="../../x", at="2024-01-02", speaker="Ana")
    space.add("# no heading\n**Eve**, 2020", session="../../x", at="2024-01-01", speaker="Bo\n# x")
    space.add("alone")
    assert export_markdown(space, tmp_path / "out") == 3
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 2
    page = next(f for f in files if f.name != "no-session.md").read_text(encoding="utf-8")
    assert page.index("no heading") < page.index("later")
    assert "> # no heading\n> **Eve**, 2020" in page
    assert [line for line in page.splitlines() if line.startswith("#")] == ["# ../../x"]


def test_links_of_an_archive_of_0_1_get_their_new_names(memory):
    space, other = memory.space("a"), memory.space("b")
    for id in "xy":
        space.add(f"note {id}", id=id)
    rows = [{**row, "links": [{"b": "y", "kind": "recalled with", "weight": 3.0}]} for row in space.dump()][:1]
    assert other.restore([*rows, *list(space.dump())[1:]]) == (2, 0)
    assert [(x.a, x.b, x.kind) for x in other.links("x")] == [("x", "y", "co-recalled")]
