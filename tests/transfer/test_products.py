"""Every product from exports with real shapes, twice for one account: nothing lost, misdated, doubled, or said by another."""

import json
import zipfile
from collections import Counter
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.transfer import import_path
from tests.transfer import exports
from tests.transfer.exports import at

NOW = datetime(2026, 1, 1, tzinfo=UTC)
U, A, D, T = "user", "assistant", "document", "tool"
ROME = (T, "I live in Rome.")
CASES = {  # product: (export, what the older one holds, what the newer one adds); the time is minutes after the first
    "chatgpt": (
        exports.chatgpt,
        [(U, "I am a nurse.", 0), (U, "Be brief.", 0), (U, "Weather in Porto?", 3), (A, "Rain. See Porto.", 8),
         (U, "Thanks, spoken.", 8), (A, "User likes rain.", 10)],
        [(U, "And tomorrow?", 11), (U, "Thanks, spoken.", 50)],
    ),
    "claude": (
        exports.claude,
        [(U, "A cake, please?", 1), (A, "Flour and eggs.", 3), (U, "And this file?", 4), (D, "I live in Bonn.", 4)],
        [(A, "A shopping list.", 5)],
    ),
    "open-webui": (exports.openwebui, [(U, "15 * 17?", 1), (D, "I live in Bonn.", 1), (A, "255", 3)], [(U, "Sure?", 4)]),
    "librechat": (
        lambda newer: exports.librechat(newer, nested=True),
        [(U, "How do I use venv?", 1), (A, "Make one.", 3)], [(U, "thanks", 4)],
    ),
    "librechat flat": (
        lambda newer: exports.librechat(newer, nested=False),
        [(U, "How do I use venv?", 1), (A, "Make one.", 3)], [(U, "thanks", 4)],
    ),
    "gemini": (
        exports.gemini,
        [(U, "Which inverter?\nFor a flat.", 1), (A, "The Deye & others.\n- one\n- two", 1), (U, "Sure?", 2), (A, "Yes.", 2)],
        [(U, "Sure?", 200), (A, "Again.", 200)],
    ),
    "gemini html": (
        exports.gemini_html,
        [(U, "Which inverter?\nFor a flat.", 1), (A, "The Deye & others.\n- one\n- two", 1), (U, "Sure?", 2), (A, "Yes.", 2)],
        [(U, "Sure?", 200), (A, "Again.", 200)],
    ),
    "chats": (
        exports.vercel,
        [(U, "Hi", 0), (A, "Hello!", 1), (U, "Hi", 0), (A, "Hello again!", 1)], [(U, "How are you?", 2)],
    ),
    "chats without ids": (
        exports.anonymous,
        [(U, "Hi", None), (A, "Hello!", None), (U, "My boat leaks", None), (A, "Patch it", None), (U, "Hi", None),
         (A, "Hello!", None), (U, "A poem", None), (A, "Roses", None), (U, "Longer", None), (A, "Roses are red", None),
         (U, "Took my pills", None), (A, "Well done", None), (U, "Took my pills", None), (A, "Well done", None)],
        [(U, "Another", None), (U, "Thanks", None)],
    ),
}  # fmt: skip


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none", clock=lambda: NOW) as memory:
        yield memory.space("s")


def write(folder, name, value, kind):
    """Write an export as a file, as a zip, or as an unpacked folder with strays, and return its path."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    file = {
        "gemini": "Takeout/My Activity/Gemini Apps/MyActivity.json",
        "gemini html": "Takeout/My Activity/MyActivity.html",
    }
    file = file.get(name, "conversations.json")
    folder.mkdir()
    if kind == "file":
        (folder / file.rpartition("/")[2]).write_text(text, encoding="utf-8")
        return folder / file.rpartition("/")[2]
    strays = {
        "README.md": "I live in Graz.",
        "user.json": '{"id": "u"}',
        "chat.html": "<html></html>",
        "photo.png": "\x89",
    }
    if kind == "zip":
        with zipfile.ZipFile(folder / "export.zip", "w") as archive:
            for where, words in {file: text, **strays}.items():
                archive.writestr(where, words)
        return folder / "export.zip"
    for where, words in {file: text, **strays}.items():
        (folder / "export" / where).parent.mkdir(parents=True, exist_ok=True)
        (folder / "export" / where).write_text(words, encoding="utf-8")
    return folder / "export"


def held(space):
    return Counter((c.role, c.text, c.at) for c in space.cubes(limit=1_000).items)


def expected(rows):
    return Counter((role, text, NOW if minutes is None else at(minutes)) for role, text, minutes in rows)


def check_sums(report):
    for file in report.files:
        taken = file.added + file.updated + file.skipped
        assert file.read == taken + len(file.problems) + len(file.left_out), file


@pytest.mark.parametrize("kind", ["file", "zip", "folder"])
@pytest.mark.parametrize("name", CASES)
def test_two_exports_of_one_account_lose_misdate_and_double_nothing(name, kind, space, tmp_path):
    make, said, later = CASES[name]
    old = write(tmp_path / "old", name, make(False), kind)
    first = import_path(space, old)
    assert held(space) == expected(said)
    assert (first.format, first.added, first.problems) == (name.split()[0], len(said), [])
    again = import_path(space, old)
    assert (again.added, again.updated, again.skipped) == (0, 0, len(said))
    newer = import_path(space, write(tmp_path / "new", name, make(True), kind))
    assert held(space) == expected(said + later)
    assert (newer.added, newer.updated, newer.problems) == (len(later), 0, [])
    back = import_path(space, old)
    assert (back.added, back.updated) == (0, 0), "an older export takes nothing back"
    assert held(space) == expected(said + later)
    for report in (first, again, newer, back):
        check_sums(report)
        assert report.undated == (0 if said[0][2] is not None else report.undated)


@pytest.mark.parametrize("name", CASES)
def test_what_others_say_is_never_the_users(name, space, tmp_path):
    import_path(space, write(tmp_path / "x", name, CASES[name][0](True), "file"))
    assert [c.text for c in space.cubes(role="user", limit=1_000).items if "I live" in c.text] == []
    assert {c.role for c in space.cubes(limit=1_000).items} <= {U, A, D, T}


@pytest.mark.parametrize("name", CASES)
def test_chats_of_one_account_have_a_session_each(name, space, tmp_path):
    import_path(space, write(tmp_path / "x", name, CASES[name][0](True), "file"))
    chats = {"chatgpt": 2, "gemini": 2, "gemini html": 2, "chats": 2, "chats without ids": 5}
    assert len({c.session for c in space.cubes(limit=1_000).items if c.kind == "turn"}) == chats.get(name, 1)
    assert not any("\ue000" <= letter <= "\uf8ff" for c in space.cubes(limit=1_000).items for letter in c.text)


def test_both_exports_in_one_folder_are_one_account(space, tmp_path):
    for name in ("chatgpt", "chats without ids"):
        make, said, later = CASES[name]
        folder = tmp_path / name
        folder.mkdir()
        (folder / "2024.json").write_text(json.dumps(make(False)), encoding="utf-8")
        (folder / "2025.json").write_text(json.dumps(make(True)), encoding="utf-8")
        assert import_path(space, folder).added == len(said) + len(later)


def test_what_is_left_out_is_told(space, tmp_path):
    report = import_path(space, write(tmp_path / "x", "chatgpt", exports.chatgpt(True), "folder"))
    told = Counter(problem.what for problem in report.left_out)
    assert told["a system message"] == told["an answer of a tool"] == told["a call of a tool"] == 1
    assert sum("branch that was left" in what for what in told) == 1
    assert {p.where for p in report.left_out} >= {"README.md", "user.json", "photo.png", "chat.html"}
    assert [r.what for r in report.remarks] == ["without picture"]


def test_an_edited_branch_takes_the_old_one_out_and_a_return_brings_it_back(space, tmp_path):
    chats = exports.claude(True)
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps(chats), encoding="utf-8")
    import_path(space, path)
    messages = chats[1]["chat_messages"]
    edited = [*messages, exports.claude_message(6, 3, "human", "And without eggs?")]
    edited.append(exports.claude_message(7, 6, "assistant", "Oil."))
    path.write_text(json.dumps([chats[0], {**chats[1], "chat_messages": edited}]), encoding="utf-8")
    report = import_path(space, path)
    assert (report.added, report.updated) == (2, 3), "a question, its file and its answer are no longer said"
    assert [c.text for c in space.cubes().items] == ["A cake, please?", "Flour and eggs.", "And without eggs?", "Oil."]
    assert "And this file?" in [c.text for c in space.cubes(state="any").items], "history is kept"
    back = {**chats[1], "chat_messages": edited, "current_leaf_message_uuid": exports.uid(5)}
    path.write_text(json.dumps([back]), encoding="utf-8")
    assert import_path(space, path).updated == 5
    assert {c.text for c in space.cubes().items} == {
        "A cake, please?", "Flour and eggs.", "And this file?", "I live in Bonn.", "A shopping list.",
    }  # fmt: skip


LOG = "# May\n\nPatched the hull.\n\n# June\n\nNew sail."
PROJECT = {
    "uuid": exports.uid(5), "name": "Boat", "description": "Repairs of the boat.", "is_private": True,
    "prompt_template": "Answer like a sailor.", "created_at": at(0).isoformat(), "updated_at": at(9).isoformat(),
    "docs": [{"uuid": exports.uid(6), "filename": "log.md", "content": LOG, "created_at": at(5).isoformat()}],
}  # fmt: skip
MEMORIES = [{"conversations_memory": "**Work**\n\nAna is a nurse.", "project_memories": {exports.uid(5): "The boat leaks."},
             "account_uuid": exports.uid(1)}]  # fmt: skip


@pytest.mark.parametrize("layout", ["lists", "folders"])
def test_projects_and_memories_of_claude_are_documents_and_follow_their_edits(layout, space, tmp_path):
    folder = tmp_path / "data-2026-batch-0000"

    def put(project, memories):
        places = {"lists": ("projects.json", [project], "memories.json", memories),
                  "folders": (f"projects/{project['uuid']}.json", project, "memories/x.json", memories[0])}[layout]  # fmt: skip
        for name, value in (
            places[:2],
            places[2:],
            ("conversations.json", exports.claude(False)),
            ("users.json", [{"uuid": "u"}]),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(value), encoding="utf-8")

    put(PROJECT, MEMORIES)
    report = import_path(space, folder)
    assert (report.format, report.problems) == ("claude", [])
    assert {(c.role, c.text, c.metadata.get("heading")) for c in space.cubes(kind="note").items} == {
        (D, "Answer like a sailor.", None), (D, "Repairs of the boat.", None), (D, "Patched the hull.", "May"),
        (D, "New sail.", "June"), (A, "**Work**\n\nAna is a nurse.", None), (A, "The boat leaks.", None),
    }  # fmt: skip
    assert space.cubes(source="claude/Boat/log.md").items[0].at == at(5)
    assert report.undated == 2, "Claude does not date its memories"
    doc = {**PROJECT["docs"][0], "content": "# May\n\nPatched the hull twice.\n\n# July\n\nSold."}
    put(
        {**PROJECT, "name": "Old boat", "docs": [doc]},
        [{**MEMORIES[0], "conversations_memory": "**Work**\n\nAna is a doctor."}],
    )
    report = import_path(space, folder)
    assert (report.added, report.updated, report.removed) == (1, 2, 1)
    texts = [c.text for c in space.cubes(kind="note").items]
    assert sorted(texts) == sorted([
        "Answer like a sailor.", "Repairs of the boat.", "Patched the hull twice.", "Sold.",
        "**Work**\n\nAna is a doctor.", "The boat leaks.",
    ])  # fmt: skip
    check_sums(report)
