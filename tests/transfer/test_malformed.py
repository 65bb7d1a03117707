"""Every node of a small document of every format, replaced by odd values: nothing crashes, nothing is lost silently."""

import hashlib
import json
import shutil
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput, MnemosError
from mnemos.transfer import export_space, import_path
from mnemos.transfer.sections import sections
from tests.nested import paths, replaced

ODD = [None, 1, "x", [], {}, [1], {"a": 1}]
ODDER = [*ODD, "\ud800", 10**400, float("nan"), True, -1, "9999-12-31T23:59:59-12:00"]
DOCUMENTS = {
    "chatgpt": [
        {
            "id": "c1", "title": "Trip", "current_node": "n3", "create_time": 1_700_000_000,
            "mapping": {
                "n0": {"parent": None, "children": ["n1"], "message": None},
                "n1": {"parent": "n0", "children": ["n2"],
                       "message": {"id": "m1", "author": {"role": "user"}, "create_time": 1_700_000_001, "metadata": {},
                                   "content": {"content_type": "text", "parts": ["Plan Oslo"]}}},
                "n2": {"parent": "n1", "children": ["n3"],
                       "message": {"id": "m2", "author": {"role": "assistant"}, "content": {"parts": ["Go in June"]}}},
                "n3": {"parent": "n2", "children": [],
                       "message": {"id": "m3", "author": {"role": "user"}, "content": {"parts": ["Thanks", "a lot"]}}},
            },
        },
        {"id": "c2", "mapping": {"k": {"parent": None, "children": [],
                                       "message": {"author": {"role": "user"}, "content": {"parts": ["Alone"]}}}}},
    ],
    "claude": [
        {
            "uuid": "u1", "name": "Cake",
            "chat_messages": [
                {"uuid": "a", "sender": "human", "text": "Recipe?", "created_at": "2024-05-01T10:00:00Z"},
                {"uuid": "b", "sender": "assistant", "text": "", "content": [{"type": "text", "text": "Flour."}]},
            ],
        },
        {"uuid": "u2", "name": "", "chat_messages": [{"uuid": "c", "sender": "human", "text": "Alone"}]},
    ],
    "mem0": {
        "results": [
            {"id": "x", "memory": "Likes tea", "created_at": "2024-01-02T03:04:05+00:00", "user_id": "ana"},
            {"id": "y", "memory": "Likes rye", "metadata": {"a": "b"}, "run_id": "r", "categories": ["food"]},
        ]
    },
    "mcp-memory": [
        {"type": "entity", "name": "Ana", "entityType": "person", "observations": ["likes tea", "is 40"]},
        {"type": "relation", "from": "Ana", "to": "Acme", "relationType": "works_at"},
    ],
    "locomo": [
        {
            "sample_id": "conv-1",
            "conversation": {
                "speaker_a": "Ana",
                "session_1": [{"speaker": "Ana", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a dog"}],
                "session_1_date_time": "1:56 pm on 8 May, 2023",
                "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Later."}],
                "session_2_date_time": "10:04 am on 12 June, 2023",
            },
        }
    ],
    "beam": [
        {
            "batch_number": 1,
            "turns": [
                [{"id": 1, "role": "user", "content": "Plan it. ->-> 1,2", "time_anchor": "March-15-2024"},
                 {"id": 2, "role": "assistant", "content": "Done."}]
            ],
        }
    ],
    "chat": {"id": "s", "messages": [{"role": "user", "content": "Hi"}, {"id": "2", "name": "Bo", "text": "Ho", "at": 1}]},
    "chats": [{"messages": [{"content": "a"}]}, {"session": "t", "messages": [{"content": "b"}, {"content": ["c"]}]}],
    "messages": [{"content": "one", "metadata": {"k": [1]}}, {"text": "two", "timestamp": 1_700_000_000}],
}  # fmt: skip


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory.space("s")


def write(folder, name, value):
    """Write a document as its product does and return its path."""
    folder.mkdir(parents=True)
    if name == "beam":
        (folder / "chat.json").write_text(json.dumps(value), encoding="utf-8")
        return folder
    lines = name == "mcp-memory" and isinstance(value, list)
    text = "\n".join(map(json.dumps, value)) if lines else json.dumps(value)
    (folder / "file").write_text(text, encoding="utf-8")
    return folder / "file"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A folder with an empty space: to copy it is several times as fast as to make one, and here are thousands."""
    folder = tmp_path_factory.mktemp("empty")
    with Mnemos(folder, embedder="none") as memory:
        assert memory.space("s").count() == 0
    return folder


def attempt(empty, root, name, value):
    """Return what an empty space holds after an import, and its problems; None for a file that was refused."""
    shutil.copytree(empty, root / "space")
    with Mnemos(root / "space", embedder="none") as memory:
        space = memory.space("s")
        try:
            report = import_path(space, write(root / "in", name, value))
        except InvalidInput:
            assert space.count() == 0
            return None
        texts = [c.text for c in space.cubes(limit=1_000, state="any").items]
        assert len(texts) == report.added
        assert report.added or report.skipped or report.problems, "neither taken nor refused"
        return texts, report.problems


def is_nothing(value):
    """Tell whether an odd value holds no content: an empty text is left out, and no one misses it."""
    return value is None or value in ([], {})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_replaced_node_is_reported_or_refused_and_all_else_is_kept(name, empty, tmp_path):
    document = DOCUMENTS[name]
    whole, problems = attempt(empty, tmp_path / "whole", name, document)
    assert problems == []
    case = 0
    for path in paths(document):
        for odd in ODD:
            case += 1
            outcome = attempt(empty, tmp_path / str(case), name, replaced(document, path, odd))
            if outcome is None or is_nothing(odd):
                continue
            texts, problems = outcome
            assert len(texts) >= len(whole) or problems, (path, odd, texts)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_several_replaced_nodes_never_crash(tmp_path_factory, empty, name, data):
    document = DOCUMENTS[name]
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(paths(document))))
        document = replaced(document, path, data.draw(st.sampled_from(ODDER) | st.just(document)))
    attempt(empty, tmp_path_factory.mktemp("m"), name, document)


@pytest.fixture
def archive(tmp_path):
    with Mnemos(tmp_path / "made", embedder="none") as memory:
        space = memory.space("a")
        space.add("one", id="x", metadata={"k": [1]}, session="s", at="2024-01-02")
        space.update("x", content="two")
        export_space(space, tmp_path / "a.zip")
    return tmp_path / "a.zip"


def rewrite(path, manifest, lines):
    """Write an archive of these lines, whose checksum fits."""
    data = lines if isinstance(lines, bytes) else "\n".join(map(json.dumps, lines)).encode()
    if isinstance(manifest, dict) and isinstance(manifest.get("sha256"), dict):
        manifest = {**manifest, "sha256": {"cubes.jsonl": hashlib.sha256(data).hexdigest()}}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MANIFEST.json", json.dumps(manifest))
        file.writestr("cubes.jsonl", data)


def test_a_replaced_node_of_an_archive_is_refused_or_stored_so_that_it_can_be_read(archive, empty, tmp_path):
    with zipfile.ZipFile(archive) as file:
        manifest = json.loads(file.read("MANIFEST.json"))
        records = [json.loads(line) for line in file.read("cubes.jsonl").splitlines()]
    changes = [(replaced(manifest, p, odd), records) for p in paths(manifest) for odd in ODDER]
    changes += [(manifest, r) for p in paths(records) if p for odd in ODDER for r in [replaced(records, p, odd)]]
    changes += [(manifest, records * 2), (manifest, b"[1, 2"), (manifest, b"\xff")]
    taken = 0
    for number, (head, lines) in enumerate(changes):
        root = shutil.copytree(empty, tmp_path / str(number))
        rewrite(archive, head, lines)
        with Mnemos(root, embedder="none") as memory:
            space = memory.space("s")
            try:
                report = import_path(space, archive)
            except MnemosError:
                assert space.count() == 0
                continue
            taken += 1
            assert report.added == 1
            assert len(list(space.dump())) == 1
            assert export_space(space, tmp_path / "again.zip", overwrite=True) == 1
    assert 0 < taken < len(changes)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_zip_with_changed_bytes_never_crashes(archive, space, data):
    raw = bytearray(archive.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    changed = archive.with_name("changed.zip")
    changed.write_bytes(bytes(raw[: data.draw(st.just(len(raw)) | st.integers(0, len(raw)))]))
    with suppress(MnemosError):
        import_path(space, changed)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
    st.sampled_from(["x.json", "x.md", "x.txt", "x.zip"]),
)
def test_any_bytes_never_crash(tmp_path, space, data, name):
    (tmp_path / name).write_bytes(data)
    with suppress(MnemosError):
        import_path(space, tmp_path / name)


@pytest.mark.parametrize(
    ("content", "texts", "problems"),
    [
        ('{"messages": [{"content": "a"}]}\n{"content": "b"}', ["a", "b"], 0),
        ('{"content": "b"}\n{"messages": [{"content": "a"}]}', ["b", "a"], 0),
        ('{"content": "b"}\n{"messages": 1}\n7', ["b"], 2),
        ('{"content": "only"}', ["only"], 0),
        ('{"type":"entity","name":"Ana","entityType":"","observations":["one line"]}\n', ["Ana: one line"], 0),
        ('{"memory": "one line"}', ["one line"], 0),
        ('{"uuid": "u", "chat_messages": [{"sender": "human", "text": "one line"}]}', ["one line"], 0),
        ('{"a": {},\n "messages": [{"content": "pretty"}]\n}', ["pretty"], 0),
        ('{"a": {"b": 1}\n, "messages": [{"content": "pretty"}]}', ["pretty"], 0),
        ('[{"a": {}}\n, {"content": "pretty"}]', ["pretty"], 1),
        ('[{"role": "tool"}, {"content": "second"}]', ["second"], 0),
        ('[null, {"id": 1}, {"content": "third"}]', ["third"], 2),
        ('[{"content": null, "text": "there"}, {"content": "", "text": " "}]', ["there"], 0),
        ('[{"id": "1", "text": "a"}, {"id": "1", "text": "b"}, {"id": "1", "text": "a"}]', ["a", "b"], 0),
        ('{"results": [{"memory": "m"}], "relations": [{"source": "a"}]}', ["m"], 1),
        ('[{"memory": "m", "metadata": "kept"}]', ["m"], 0),
        ('[{"chat_messages": [{"sender": "human", "text": "t", "content": "abc"}]}, 1]', ["abc"], 1),
        ('{"type":"entity","name":"Ana","observations":"abc"}\n{"type":"entity","name":"Bo","observations":["x"]}', ["Bo: x"], 1),
        ('{"messages": []}', [], 1),
        ('[{"content": "a", "at": ' + "9" * 400 + '}, {"content": "b"}]', ["b"], 1),
    ],
)  # fmt: skip
def test_what_is_odd_is_read_or_reported(content, texts, problems, space, tmp_path):
    (tmp_path / "m.json").write_text(content, encoding="utf-8")
    report = import_path(space, tmp_path / "m.json")
    assert [c.text for c in space.cubes(limit=100, state="any").items] == texts
    assert len(report.problems) == problems


@pytest.mark.parametrize("depth", [100, 900, 3_000, 20_000, 200_000])
@pytest.mark.parametrize(
    "form", ['{{"content": {}}}', '{{"content": "x", "metadata": {{"a": {}}}}}', '{{"memory": "x", "id": {}}}']
)
def test_deep_nesting_never_crashes(form, depth, space, tmp_path):
    (tmp_path / "m.json").write_text("[" + form.format("[" * depth + "]" * depth) + "]", encoding="utf-8")
    with suppress(InvalidInput):
        assert import_path(space, tmp_path / "m.json").read == 1


def test_a_number_that_is_too_long_is_refused(space, tmp_path):
    (tmp_path / "m.json").write_text('[{"content": "x", "at": ' + "1" * 10_000 + "}]", encoding="utf-8")
    with pytest.raises(InvalidInput, match="m.json"):
        import_path(space, tmp_path / "m.json")


def test_all_conversations_of_a_zip_are_read(space, tmp_path):
    chats = DOCUMENTS["chatgpt"]
    for names, expected in ((["a/conversations.json", "b/conversations.json"], 4), (["conversations-000.json"], 3)):
        with zipfile.ZipFile(tmp_path / "e.zip", "w") as file:
            for name, chat in zip(names, chats, strict=False):
                file.writestr(name, json.dumps([chat]))
        report = import_path(space, tmp_path / "e.zip")
        assert (report.added + report.skipped, report.problems) == (expected, [])
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as file:
        file.writestr("a/conversations.json", json.dumps(chats))
        file.writestr("b/conversations.json", "{}")
    assert [p.where for p in import_path(space, tmp_path / "e.zip").left_out] == ["b/conversations.json"]


def test_a_broken_branch_is_followed_by_its_children_or_reported(space, tmp_path):
    lost_parent = replaced(DOCUMENTS["chatgpt"], (0, "mapping", "n2", "parent"), None)
    (tmp_path / "m.json").write_text(json.dumps(lost_parent), encoding="utf-8")
    report = import_path(space, tmp_path / "m.json")
    assert (report.added, report.problems) == (4, [])
    circle = replaced(DOCUMENTS["chatgpt"], (0, "mapping", "n0", "parent"), "n3")
    (tmp_path / "m.json").write_text(json.dumps(circle), encoding="utf-8")
    assert "its parent 'n3'" in str(import_path(space, tmp_path / "m.json").problems[0])


def test_notes_keep_headings_without_text_and_files_given_by_format(space, tmp_path):
    body = "# Title\n## Empty\n## Full ##\ntext\n# Last\n"
    (tmp_path / "note.log").write_text(body, encoding="utf-8")
    report = import_path(space, tmp_path / "note.log", format="markdown")
    assert report.problems == []
    cubes = space.cubes(limit=100, state="any").items
    found = [(c.text, c.metadata.get("heading")) for c in cubes]
    assert found == [("Empty", "Title"), ("text", "Title > Full"), ("Last", None)]


@pytest.mark.parametrize("text", ["# " + "#" * 200_000 + "x", "# " + " " * 200_000 + "x", "x" * 3_000_000])
def test_hostile_notes_end(text):
    assert list(sections(text))


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b"])
def test_a_path_that_cannot_be_is_refused(name, space, tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        import_path(space, tmp_path / name)
