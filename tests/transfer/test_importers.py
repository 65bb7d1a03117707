"""Every format from a small file made here: what is read, and that importing again adds nothing."""

import json
import zipfile
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.transfer import FORMATS, import_path

CHATGPT = [
    {
        "id": "c1", "title": "Trip", "current_node": "n4", "create_time": 1_700_000_000,
        "mapping": {
            "n0": {"parent": None, "children": ["n1"], "message": None},
            "n1": {"parent": "n0", "children": ["n2"],
                   "message": {"id": "m1", "author": {"role": "system"}, "content": {"parts": ["You are helpful"]}}},
            "n2": {"parent": "n1", "children": ["n3", "n4"],
                   "message": {"id": "m2", "author": {"role": "user"}, "create_time": 1_700_000_001,
                               "content": {"parts": ["Plan Oslo", {"content_type": "image_asset_pointer"}]}}},
            "n3": {"parent": "n2", "children": [],
                   "message": {"id": "m3", "author": {"role": "assistant"}, "content": {"parts": ["A dropped branch"]}}},
            "n4": {"parent": "n2", "children": [],
                   "message": {"id": "m4", "author": {"role": "assistant"}, "content": {"parts": ["Go in June", ""]}}},
        },
    }
]  # fmt: skip
CLAUDE = [
    {
        "uuid": "u1", "name": "Cake",
        "chat_messages": [
            {"uuid": "a", "sender": "human", "text": "Recipe?", "created_at": "2024-05-01T10:00:00Z"},
            {"uuid": "b", "sender": "assistant", "text": "", "content": [{"type": "text", "text": "Flour and eggs."}]},
            {"uuid": "c", "sender": "human", "text": ""},
        ],
    }
]  # fmt: skip
LOCOMO = [
    {
        "sample_id": "conv-1", "qa": [],
        "conversation": {
            "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Later."}],
            "session_2_date_time": "10:04 am on 12 June, 2023",
            "session_1": [{"speaker": "Ana", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a dog"}],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
        },
    }
]  # fmt: skip
MEM0 = {"results": [{"id": "x", "memory": "Likes tea", "created_at": "2024-01-02T03:04:05+00:00", "user_id": "ana"}]}
MCP = (
    '{"type":"entity","name":"Ana","entityType":"person","observations":["likes tea","is 40"]}\n'
    '{"type":"relation","from":"Ana","to":"Acme","relationType":"works_at"}\n'
)
CHATS = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "tool", "content": None},
        {"role": "user", "content": "Hi"},
    ]
}
TUNING = '{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}\n{"messages":[]}\n'

CASES = {
    "chatgpt": (json.dumps(CHATGPT), ["Plan Oslo", "Go in June"]),
    "claude": (json.dumps(CLAUDE), ["Recipe?", "Flour and eggs."]),
    "locomo": (json.dumps(LOCOMO), ["Look! [shares a photo: a dog]", "Later."]),
    "mem0": (json.dumps(MEM0), ["Likes tea"]),
    "mcp-memory": (MCP, ["Ana (person): likes tea", "Ana (person): is 40", "Ana works at Acme."]),
    "chats": (json.dumps(CHATS), ["Hi", "Hi"]),
    "chats 2": (TUNING, ["Q", "A"]),
    "chats 3": ('[{"text": "one", "name": "Bo", "timestamp": 1700000000}]', ["one"]),
    "chats 4": ('{"content": "one"}\n\n{"content": "two", "session_id": "s"}\n', ["one", "two"]),
}


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory.space("s")


def texts(space):
    return [c.text for c in space.cubes(limit=1_000).items]


@pytest.mark.parametrize("case", CASES)
def test_a_format_is_known_by_its_content_and_importing_twice_adds_nothing(case, space, tmp_path):
    content, expected = CASES[case]
    path = tmp_path / "anything.dat"
    path.write_text("\ufeff" + content, encoding="utf-8")
    first, second = import_path(space, path), import_path(space, path)
    assert first.format == case.split()[0]
    assert texts(space) == expected
    assert (first.added, first.skipped, first.problems) == (len(expected), 0, [])
    assert (second.added, second.skipped, second.problems) == (0, len(expected), [])


def test_what_the_formats_know_is_kept(space, tmp_path):
    for name in ("chatgpt", "claude", "locomo", "mem0", "mcp-memory"):
        (tmp_path / name).write_text(CASES[name][0], encoding="utf-8")
        import_path(space, tmp_path / name)
    oslo, answer = space.get("c1/m2"), space.get("c1/m4")
    assert (oslo.role, oslo.session, oslo.at.timestamp(), oslo.metadata) == (
        "user",
        "c1",
        1_700_000_001,
        {"title": "Trip"},
    )
    assert answer.at == oslo.at, "a message without a time has that of the one before"
    assert space.get("u1/a").at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    turn = space.get("conv-1/D1:1")
    assert (turn.speaker, turn.session, turn.at) == (
        "Ana",
        "conv-1/session_1",
        datetime(2023, 5, 8, 13, 56, tzinfo=UTC),
    )
    assert (space.get("x").kind, space.get("x").metadata) == ("fact", {"user_id": "ana"})
    relation = next(c for c in space.cubes(source="mcp-memory").items if "works" in c.text)
    assert relation.metadata == {"from": "Ana", "relation": "works_at", "to": "Acme"}


def test_an_account_export_may_stay_zipped(space, tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("data/conversations.json", json.dumps(CHATGPT))
    assert import_path(space, tmp_path / "export.zip").format == "chatgpt"


def test_beam_by_chat_and_by_folder_of_chats(space, tmp_path):
    for name in ("1", "10"):
        (tmp_path / "beam" / name).mkdir(parents=True)
        turns = [[{"id": 7, "role": "user", "content": "Plan it. ->-> 1,2", "time_anchor": "March-15-2024"}]]
        data = json.dumps([{"batch_number": 1, "turns": turns}])
        (tmp_path / "beam" / name / "chat.json").write_text(data, encoding="utf-8")
    assert import_path(space, tmp_path / "beam").added == 2
    cube = space.get("10/7")
    assert (cube.text, cube.session, cube.at.isoformat()) == ("Plan it.", "10/batch_1", "2024-03-15T00:00:00+00:00")


def test_notes_are_cut_at_headings_and_dated(space, tmp_path):
    folder = tmp_path / "notes"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "x.md").write_text("secret", encoding="utf-8")
    body = "---\ndate: 2024-03-02\ntags: a, b\n---\n# Garden\n\nRoses.\n\nTulips.\n\n## Shed\n\n```\n# no heading\n\ncode\n```\n"
    (folder / "a.md").write_text(body, encoding="utf-8")
    (folder / "2023-01-05 log.txt").write_text("word " * 500, encoding="utf-8")
    report = import_path(space, folder)
    assert report.format == "markdown"
    cubes = space.cubes(source="a.md").items
    assert [(c.text, c.metadata["heading"]) for c in cubes] == [
        ("Roses.\n\nTulips.", "Garden"),
        ("```\n# no heading\n\ncode\n```", "Garden > Shed"),
    ]
    assert {c.at.date().isoformat() for c in cubes} == {"2024-03-02"}
    log = space.cubes(source="2023-01-05 log.txt").items
    assert " ".join(c.text for c in log).split() == ["word"] * 500
    assert all(len(c.text) <= 1_000 for c in log)
    assert log[0].at.date().isoformat() == "2023-01-05"
    assert import_path(space, folder).added == 0


def test_what_cannot_be_taken_is_reported_and_the_rest_is_stored(space, tmp_path):
    space.add("before", id="taken")
    messages = [
        {"id": "1", "content": "good"}, {"id": "2", "content": 7}, {"id": "taken", "content": "other"}, "text",
        {"id": "1", "content": "another"}, {"id": "3", "content": "late", "at": "whenever"}, {"content": ""},
    ]  # fmt: skip
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"messages": messages}), encoding="utf-8")
    report = import_path(space, path)
    assert (report.added, texts(space)) == (3, ["before", "good", "other", "another"]), "nothing is lost to an id"
    assert space.get("taken").text == "before"
    assert [str(p).split(":")[0] for p in report.problems] == [f"m.json.messages[{i}]" for i in (1, 3, 5)]
    assert [p.where for p in report.left_out] == ["m.json.messages[6]"]
    assert report.read == report.added + len(report.problems) + len(report.left_out)


def test_an_updated_cube_is_not_set_back_by_importing_again(space, tmp_path):
    path = tmp_path / "m.json"
    path.write_text('[{"id": "1", "content": "old"}]', encoding="utf-8")
    import_path(space, path)
    space.update("1", content="new")
    report = import_path(space, path)
    assert (report.added, report.skipped, report.problems, space.get("1").text) == (0, 1, [], "new")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'[{"content": "cut', "line 1"),
        (b"plain text", "not JSON"),
        (b'[{"strange": 1}]', "with keys strange"),
        (b"[1, 2]", "a list of 2"),
        (b'[{"content": "\xff"}]', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply|line 1"),
        (b"PK\x03\x04 no zip", "not JSON"),
    ],
)
def test_a_file_that_is_not_whole_or_not_known_is_refused_and_nothing_is_stored(content, message, space, tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        import_path(space, path)
    assert space.count() == 0


def test_wrong_paths_and_formats_are_refused(space, tmp_path):
    (tmp_path / "m.json").write_text('[{"content": "x"}]', encoding="utf-8")
    with pytest.raises(InvalidInput, match="does not exist"):
        import_path(space, tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match=", ".join(FORMATS)):
        import_path(space, tmp_path / "m.json", format="word")
    with pytest.raises(InvalidInput, match="is not claude"):
        import_path(space, tmp_path / "m.json", format="claude")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no"):
        import_path(space, tmp_path / "empty")
