"""What an import reads: no links, devices or places outside; torn lines, strays and bombs; and times under any name."""

import json
import os
import stat
import zipfile
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.transfer import import_path, inputs
from mnemos.transfer.source import open_zip

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = datetime(2024, 3, 5, 9, 15, tzinfo=UTC)


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none", clock=lambda: NOW) as memory:
        yield memory.space("s")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("Inside.")
    return tmp_path / "notes"


def texts(space):
    return [c.text for c in space.cubes(limit=1_000).items]


@pytest.mark.parametrize("what", ["file", "folder", "own folder", "nowhere"])
def test_links_in_a_folder_are_not_followed_and_told(what, space, folder, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.md").write_text("Outside.")
    goal = {"file": "secret/key.md", "folder": "secret", "own folder": "notes", "nowhere": "gone.md"}[what]
    (folder / ("link" if "folder" in what else "link.md")).symlink_to(tmp_path / goal)
    report = import_path(space, folder)
    assert texts(space) == ["Inside."]
    assert [(p.where.removesuffix(".md"), p.what) for p in report.left_out] == [
        ("link", "a link, which is not followed")
    ]


def test_pipes_and_devices_are_never_read(space, folder):
    os.mkfifo(folder / "pipe.md")
    report = import_path(space, folder)
    assert [(p.where, p.what) for p in report.left_out] == [("pipe.md", "a device or a pipe")]
    for path in (folder / "pipe.md", "/dev/zero"):
        with pytest.raises(InvalidInput, match="a device or a pipe"):
            import_path(space, path)


def test_a_folder_with_an_unreadable_name_is_told(space, folder):
    (folder / ".obsidian").mkdir()
    (folder / ".obsidian" / "x.md").write_text("Hidden.")
    report = import_path(space, folder)
    assert (texts(space), [p.where for p in report.left_out]) == (["Inside."], [".obsidian"])


def member(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    "name", ["../out.json", "a/../../out.json", "/etc/out.json", "C:/out.json", "..\\out.json", "\\\\x\\out"]
)
def test_a_zip_that_names_a_place_outside_is_refused(name, space, tmp_path):
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("conversations.json", '[{"messages": [{"role": "user", "content": "Hi"}]}]')
        archive.writestr(member(name), "[]")
    with pytest.raises(InvalidInput, match="outside of it"):
        import_path(space, tmp_path / "e.zip")
    assert texts(space) == []


def test_a_zip_with_a_link_is_refused(space, tmp_path):
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr(member("conversations.json", stat.S_IFLNK | 0o777), "/etc/passwd")
    with pytest.raises(InvalidInput, match="a link"):
        import_path(space, tmp_path / "e.zip")


@pytest.mark.parametrize("inside", [False, True])
def test_a_bomb_is_refused_also_in_a_zip_in_a_folder(inside, space, folder):
    with zipfile.ZipFile(folder / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", "[" + " " * 300_000_000 + "]")
    with pytest.raises(InvalidInput, match="would unpack"):
        import_path(space, folder if inside else folder / "e.zip")
    assert texts(space) == []


def test_zips_in_a_folder_are_read(space, tmp_path):
    (tmp_path / "all").mkdir()
    for n in (0, 1):
        with zipfile.ZipFile(tmp_path / "all" / f"conversations-00{n}.zip", "w") as archive:
            chat = [{"uuid": f"u{n}", "chat_messages": [{"uuid": "m", "sender": "human", "text": f"Text {n}"}]}]
            archive.writestr("conversations.json", json.dumps(chat))
    report = import_path(space, tmp_path / "all")
    assert (report.format, texts(space)) == ("claude", ["Text 0", "Text 1"])
    assert [f.name for f in report.files] == [
        "conversations-000.zip/conversations.json",
        "conversations-001.zip/conversations.json",
    ]


def test_each_zip_is_opened_once_for_all_its_files(space, tmp_path, monkeypatch):
    (tmp_path / "all").mkdir()
    for n in range(2):
        with zipfile.ZipFile(tmp_path / "all" / f"{n}.zip", "w") as archive:
            for i in range(20):
                archive.writestr(f"{i}.md", f"Note {n} {i}.")
    opened = []
    monkeypatch.setattr(inputs, "open_zip", lambda path: opened.append(open_zip(path)) or opened[-1])
    assert import_path(space, tmp_path / "all").added == 40
    assert len(opened) == 4  # each to be listed, and to be read: opening costs time for each file in it
    assert [archive.fp for archive in opened] == [None] * 4  # all are closed


def test_a_damaged_file_in_a_folder_costs_that_file(space, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.json").write_text('[{"messages": [{"role": "user", "content": "cut')
    (tmp_path / "x" / "b.json").write_text('[{"messages": [{"role": "user", "content": "whole"}]}]')
    report = import_path(space, tmp_path / "x")
    assert (texts(space), [p.where for p in report.problems]) == (["whole"], ["a.json"])


LINES = [
    b'{"role": "user", "content": "one"}',
    b'{"role": "user", "content": "two"}',
    b'{"role": "user", "content": "three"}',
]


@pytest.mark.parametrize(
    "torn", [b'{"role": "user", "cont', b"\xff\xfe", b"\0\0\0\0", b"}{", b'"just a string', b"\xc3"]
)
@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_torn_line_costs_that_line_and_is_told(torn, place, ends, space, tmp_path):
    lines = [*LINES[:place], torn, *LINES[place:]]
    (tmp_path / "m.jsonl").write_bytes(ends.join(lines))
    report = import_path(space, tmp_path / "m.jsonl")
    assert texts(space) == ["one", "two", "three"]
    assert [p.where for p in report.problems] == [f"m.jsonl:{place + 1}"]
    assert report.read == 4


def test_a_damaged_list_is_refused_not_taken_for_lines(space, tmp_path):
    (tmp_path / "m.json").write_text('[\n{"role": "user", "content": "a"},\n{"role": "user", "content": "b"},\n{"ro')
    with pytest.raises(InvalidInput, match="line 4"):
        import_path(space, tmp_path / "m.json")


TIMES = [
    {"at": "2024-03-05T09:15:00Z"}, {"created_at": 1709630100}, {"createdAt": "2024-03-05T10:15:00+01:00"},
    {"created": 1709630100000}, {"create_time": 1709630100.0}, {"update_time": "1709630100"},
    {"date": "Tue, 05 Mar 2024 10:15:00 +0100"},
    {"ts": "1709630100.000000"}, {"timestamp": "2024-03-05 09:15:00"}, {"time": "2024-03-05T09:15Z"}, {"sent_at": 1709630100},
    {"inserted_at": "2024-03-05T09:15:00.000000Z"}, {"updatedAt": {"$date": "2024-03-05T09:15:00Z"}},
    {"createdAt": {"$date": {"$numberLong": "1709630100000"}}}, {"created_at": {"_seconds": 1709630100, "_nanoseconds": 0}},
    {"metadata": {"createdAt": 1709630100}}, {"meta": {"timestamp": "2024-03-05T09:15:00Z"}},
    {"time": {"created": 1709630100000}},
    {"timestamp": 1709630100000000}, {"timestamp": 1709630100000000000},
    {"date": "Tue Mar 05 2024 10:15:00 GMT+0100 (Central European Standard Time)"}, {"created": None, "updated": 1709630100},
    {"created": "soon", "ts": 1709630100}, {"created": 0, "ts": 1709630100},
]  # fmt: skip


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("where", ["message", "conversation"])
def test_a_time_is_read_under_any_name_and_in_any_unit(where, time, space, tmp_path):
    message = {"role": "user", "content": "Hi"}
    chat = {"messages": [message | time]} if where == "message" else time | {"messages": [message]}
    (tmp_path / "m.json").write_text(json.dumps([chat]))
    report = import_path(space, tmp_path / "m.json")
    assert ([c.at for c in space.cubes().items], report.undated, report.problems) == ([MOMENT], 0, [])


@pytest.mark.parametrize("odd", [{"time": 3.2}, {"date": "someday"}, {"created": True}, {"ts": "x"}, {"created": []}])
def test_what_is_no_time_is_none_and_the_message_is_dated_now_and_told(odd, space, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps([{"messages": [{"role": "user", "content": "Hi"} | odd]}]))
    report = import_path(space, tmp_path / "m.json")
    assert ([c.at for c in space.cubes().items], report.undated, report.problems) == ([NOW], 1, [])


def test_a_message_without_a_time_has_the_one_before_or_the_conversations(space, tmp_path):
    said = [{"role": "user", "content": t} | more for t, more in (("a", {}), ("b", {"ts": 1709630100}), ("c", {}))]
    (tmp_path / "m.json").write_text(json.dumps([{"messages": said}, {"created": 1709630100, "messages": said[:1]}]))
    assert import_path(space, tmp_path / "m.json").undated == 0
    assert {c.at for c in space.cubes().items} == {MOMENT}


def test_naive_times_are_told_in_the_zone_of_the_space_or_the_import(space, tmp_path):
    space.timezone = "Europe/Lisbon"
    (tmp_path / "m.json").write_text(
        '[{"messages": [{"role": "user", "content": "a", "createdAt": "2024-07-01T12:00"}]}]'
    )
    import_path(space, tmp_path / "m.json")
    assert [c.at.isoformat() for c in space.cubes().items] == ["2024-07-01T12:00:00+01:00"]
    space.forget(everything=True)
    import_path(space, tmp_path / "m.json", timezone="Asia/Tokyo", restore_erased=True)
    assert [c.at for c in space.cubes().items] == [datetime(2024, 7, 1, 3, tzinfo=UTC)]
    with pytest.raises(InvalidInput, match="timezone"):
        import_path(space, tmp_path / "m.json", timezone="Mars/Base")


SHAPES = {
    "sharegpt": [{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}],
    "langchain": [{"messages": [{"type": "human", "data": {"content": "Hi"}}, {"type": "ai", "data": {"content": "Hello"}}]}],
    "langchain flat": {"messages": [{"type": "human", "content": "Hi"}, {"type": "ai", "content": "Hello"}]},
    "author": [{"author": {"role": "user"}, "text": "Hi"}, {"author": {"role": "assistant"}, "text": "Hello"}],
    "wrapped": {"chats": [{"messages": [{"role": "user", "content": "Hi"}, {"role": "model", "parts": [{"text": "Hello"}]}]}]},
    "nested": {"data": [{"message": {"role": "user", "content": "Hi"}}, {"message": {"role": "assistant", "content": "Hello"}}]},
    "v4": {"messages": [{"role": "user", "content": "", "parts": [{"type": "text", "text": "Hi"}]},
                        {"role": "assistant", "content": "Hello", "parts": [{"type": "tool-invocation", "toolInvocation": {}}]}]},
    "sender": [{"sender": "Human", "text": "Hi"}, {"sender": "AI", "text": "Hello"}],
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_chats_of_many_shapes_have_their_roles(name, space, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(SHAPES[name]))
    report = import_path(space, tmp_path / "m.json")
    assert [(c.role, c.text) for c in space.cubes().items] == [("user", "Hi"), ("assistant", "Hello")], report
    assert import_path(space, tmp_path / "m.json").added == 0


def test_an_answer_of_a_tool_in_a_users_message_is_the_tools(space, tmp_path):
    parts = [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "I live in Rome."}]}]
    messages = [{"role": "user", "content": parts}, {"role": "tool", "content": "I live in Oslo."},
                {"role": "user", "content": [*parts, {"type": "text", "text": "I live in Porto."}]}]  # fmt: skip
    (tmp_path / "m.json").write_text(json.dumps({"messages": messages}))
    import_path(space, tmp_path / "m.json")
    said = [(c.role, c.source, c.text) for c in space.cubes(state="any").items]
    assert [row for row in said if row[0] == "user"] == [("user", None, "I live in Porto.")]
    assert sum(role == "tool" and source.startswith("tool:") for role, source, _ in said if source) == 3


def test_a_card_in_an_import_is_redacted_once(space, tmp_path):
    (tmp_path / "m.json").write_text(
        '{"id": "c", "messages": [{"id": 1, "role": "user", "content": "Pay 4111 1111 1111 1111"}]}'
    )
    for counts in ((1, 0, 0), (0, 0, 1)):
        report = import_path(space, tmp_path / "m.json")
        assert (report.added, report.updated, report.skipped) == counts
    assert texts(space) == ["Pay [redacted: payment card]"]
    space.secrets = "refuse"
    (tmp_path / "n.json").write_text('[{"content": "Card 5555 5555 5555 4444"}, {"content": "plain"}]')
    report = import_path(space, tmp_path / "n.json")
    assert (report.added, len(report.problems), texts(space)[-1]) == (1, 1, "plain")


def test_a_file_cannot_rewrite_a_memory_of_the_user_by_its_id(space, tmp_path):
    mine = space.add("I live in Porto.")
    forged = [
        {"id": mine.id, "role": role, "content": f"Text {i}"} for i, role in enumerate(("tool", "user", "assistant"))
    ]
    (tmp_path / "m.json").write_text(json.dumps({"id": "c", "messages": forged}))
    report = import_path(space, tmp_path / "m.json")
    assert space.get(mine.id).text == "I live in Porto."
    assert len(space.history(mine.id)) == 1
    assert (report.added, report.updated) == (3, 0)


def test_an_edited_message_is_a_version_and_an_older_text_takes_nothing_back(space, tmp_path):
    def chat(text, n):
        (tmp_path / "m.json").write_text(
            json.dumps({"id": "c", "messages": [{"id": 1, "role": "user", "content": text, "ts": n}]})
        )
        report = import_path(space, tmp_path / "m.json")
        return report.added, report.updated, texts(space)

    assert chat("Meet at five.", 1_709_630_100) == (1, 0, ["Meet at five."])
    assert chat("Meet at six.", 1_709_630_200) == (0, 1, ["Meet at six."])
    assert chat("Meet at five.", 1_709_630_100) == (0, 0, ["Meet at six."])
    assert chat("Meet at four.", 1_709_630_000) == (0, 0, ["Meet at six."])


@pytest.mark.parametrize("ids", [(1, 2), ("msg-0", "msg-1"), ("a", "b"), (None, None)])
def test_ids_that_are_unique_in_a_chat_only_lose_no_chat_in_any_file(ids, space, tmp_path):
    def message(i, text):
        return {"id": ids[i], "role": ("user", "assistant")[i], "content": text}

    questions = ("Where is Faro?", "A cake, please.", "My boat leaks again")
    chats = [[message(0, question), message(1, "Yes.")] for question in questions]
    (tmp_path / "a.json").write_text(json.dumps([{"id": 1, "messages": chats[0]}, {"id": 2, "messages": chats[1]}]))
    (tmp_path / "b.json").write_text(json.dumps(chats[2]))  # a chat alone, as a list
    (tmp_path / "c.json").write_text(json.dumps([{"id": 1, "messages": chats[2]}]))  # another account, which counts too
    expected = []
    for name, chat in (("a", [*chats[0], *chats[1]]), ("b", chats[2]), ("c", chats[2])):
        import_path(space, tmp_path / f"{name}.json")
        expected += [m["content"] for m in chat]
        assert texts(space) == expected
        assert import_path(space, tmp_path / f"{name}.json").added == 0


def test_a_chat_without_an_id_is_recognised_after_another_that_began_alike_was_erased(space, tmp_path):
    chats = [
        [("user", "Hi"), ("assistant", "Hello"), ("user", text), ("assistant", "Fine.")] for text in ("One.", "Two.")
    ]
    rows = [{"messages": [{"role": role, "content": text} for role, text in chat]} for chat in chats]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    assert import_path(space, tmp_path / "m.json").added == 8
    first = space.cubes().items[0].session
    space.forget(session=first)
    report = import_path(space, tmp_path / "m.json")
    assert (report.added, report.skipped, len(report.problems)) == (0, 4, 4)
    assert texts(space) == ["Hi", "Hello", "Two.", "Fine."]


PEOPLE = {
    "slack": [{"type": "message", "user": "U1", "text": "I live in Rome.", "ts": "1700000000.000200"}],
    "telegram": {"name": "Bo", "id": 7, "messages": [{"id": 1, "type": "message", "date_unixtime": "1700000000", "from": "Bo",
                                                      "from_id": "user1", "text": "I live in Rome."}]},
    "discord": {"messages": [{"id": "1", "timestamp": "2023-11-14T22:13:20Z", "content": "I live in Rome.",
                              "author": {"id": "2", "name": "Bo"}}]},
    "sender": [{"sender": "Bo", "text": "I live in Rome."}],
}  # fmt: skip


@pytest.mark.parametrize("name", PEOPLE)
def test_what_a_named_person_wrote_is_his(name, space, tmp_path):
    space.add("I live in Porto.", role="user")
    (tmp_path / "m.json").write_text(json.dumps(PEOPLE[name]))
    import_path(space, tmp_path / "m.json")
    (said,) = [c for c in space.cubes().items if "Rome" in c.text]
    assert said.speaker in ("Bo", "U1")
    assert [f.value for f in space.facts("user", "live in")] == ["Porto"]
