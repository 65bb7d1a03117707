"""Chats of messengers: whose words each message is, when it was said, in any region, and nothing lost or taken twice."""

import json
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.transfer import import_path

TELEGRAM = {
    "name": "Rita", "type": "personal_chat", "id": 123,
    "messages": [
        {"id": 1, "type": "service", "date": "2024-01-01T10:00:00", "actor": "Ana", "action": "phone_call", "text": ""},
        {"id": 2, "type": "message", "date": "2024-01-01T10:01:00", "date_unixtime": "1704103260", "from": "Ana",
         "from_id": "user1", "text": "I bought a tandem."},
        {"id": 3, "type": "message", "date": "2024-01-01T10:02:00", "date_unixtime": "1704103320", "from": "Rita",
         "from_id": "user2", "text": ["See ", {"type": "link", "text": "https://x.y"}, " and ", {"type": "bold", "text": "go"}]},
        {"id": 4, "type": "message", "date": "2024-01-01T10:04:00", "date_unixtime": "1704103440", "from": "Rita",
         "from_id": "user2", "photo": "photos/1.jpg", "text": ""},
        {"id": 5, "type": "message", "date": "2024-01-01T10:05:00", "date_unixtime": "1704103500", "from": "Ana",
         "from_id": "user1", "forwarded_from": "News", "text": "I moved to Mars."},
        {"id": 6, "type": "message", "date": "2024-01-01T10:06:00", "date_unixtime": "1704103560", "from": None,
         "from_id": "user3", "text": "bye"},
    ],
}  # fmt: skip
USERS = [{"id": "U1", "name": "ana", "profile": {"display_name": "Ana"}}, {"id": "U2", "name": "rita", "profile": {}}]
DAY = [
    {"type": "message", "subtype": "channel_join", "user": "U1", "text": "<@U1> has joined", "ts": "1704103200.000100"},
    {"type": "message", "user": "U1", "text": "I deploy on Fridays, <@U2>: <https://x.y|docs> &amp;", "ts": "1704103260.0002"},
    {"type": "message", "subtype": "bot_message", "bot_id": "B1", "username": "jira", "text": "Closed", "ts": "1704103270.0002"},
    {"type": "message", "user": "U2", "text": "", "files": [{"id": "F1"}], "ts": "1704103280.000200"},
]  # fmt: skip
REGIONS = {  # a chat, and when its first message of a person was said
    "1/13/24, 9:16\u202fPM - Ana: hi": "2024-01-13T21:16",
    "1/5/24, 12:16 AM - Ana: hi\n1/5/24, 9:17 PM - Rita: ok": "2024-01-05T00:16",
    "05/01/24, 9:16 pm - Ana: hi": "2024-01-05T21:16",
    "5/1/24, 9:16 p. m. - Ana: hi": "2024-01-05T21:16",
    "05/01/2024 21:16 - Ana: hi": "2024-01-05T21:16",
    "05.01.24, 21:16 - Ana: hi": "2024-01-05T21:16",
    "02/03/24, 21:16 - Ana: hi\n01/04/24, 21:16 - Ana: later": "2024-03-02T21:16",  # a chat goes forward
    "\u200e[1/13/24, 9:16:05\u202fPM] Ana: hi": "2024-01-13T21:16:05",
    "[12.3.2022 klo 14.08.18] Ana: hi": "2022-03-12T14:08:18",
    "2024-01-05 21:16 - Ana: hi": "2024-01-05T21:16",
    "2024/1/5 \u4e0b\u53489:16 - Ana: hi": "2024-01-05T21:16",
    "2024. 1. 5. \uc624\ud6c4 9:16 - Ana: hi": "2024-01-05T21:16",
    "\u200f\u0661\u0664\u200f/\u0661\u200f/2024\u060c \u0669:\u0661\u0665 \u0645 - Ana: hi": "2024-01-14T21:15",
    "14/1/2567 21:16 - Ana: hi": "2024-01-14T21:16",
}


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none", timezone="UTC") as memory:
        yield memory.space("chats")


def told(space):
    return [(c.speaker, c.role, c.text) for c in space.cubes()]


@pytest.mark.parametrize("text", REGIONS)
def test_a_chat_of_whatsapp_is_dated_by_its_region(space, tmp_path, text):
    path = tmp_path / "_chat.txt"
    path.write_text(text, encoding="utf-8")
    assert import_path(space, path).format == "whatsapp"
    first = next(iter(space.cubes()))
    assert (first.speaker, first.text) == ("Ana", "hi")
    assert first.at == datetime.fromisoformat(REGIONS[text]).replace(tzinfo=UTC)


def test_a_longer_chat_of_whatsapp_adds_what_is_new_and_leaves_notices_and_pictures_out(space, tmp_path):
    path = tmp_path / "WhatsApp Chat with Rita.txt"
    chat = (
        "31.12.23, 22:05 - Nachrichten sind verschl\u00fcsselt.\n31.12.23, 22:06 - Ana: I sold my piano:\r\nthe white one\n"
        "01.01.24, 00:10 - Rita: <Medien ausgeschlossen>\n01.01.24, 00:11 - Rita: IMG-1.jpg (Datei angeh\u00e4ngt)\nlook\n"
        "01.01.24, 00:12 - Ana: ok\n01.01.24, 00:13 - Ana: ok\n99.99.24, 00:14 - Ana: lost\n"
    )
    path.write_text(chat, encoding="utf-8")
    report = import_path(space, path)
    assert (report.added, len(report.left_out), len(report.problems)) == (4, 2, 1)
    path.write_text(chat + "02.01.24, 08:00 - Rita: Happy new year", encoding="utf-8")
    assert import_path(space, path).added == 1
    assert told(space) == [
        ("Ana", None, "I sold my piano:\nthe white one"), ("Rita", None, "look"), ("Ana", None, "ok"), ("Ana", None, "ok"),
        ("Rita", None, "Happy new year"),
    ]  # fmt: skip
    assert len({c.session for c in space.cubes()}) == 1


@pytest.mark.parametrize(
    "text",
    ["# Title\n05.01.24, 21:16 - Ana: hi", "2024-01-05 21:16:01 - ERROR: disk full", "2024-01-05 21:16 - bought milk"],
)
def test_a_note_or_a_log_is_no_chat(space, tmp_path, text):
    path = tmp_path / "note.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match="no chat of WhatsApp"):
        import_path(space, path, format="whatsapp")
    assert import_path(space, path).format == "text"


def test_a_chat_beside_notes_is_a_chat_and_they_stay_notes(space, tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "chat.txt").write_text("05.01.24, 21:16 - Ana: I sold my piano.", encoding="utf-8")
    (folder / "house.md").write_text("The boiler is old.", encoding="utf-8")
    import_path(space, folder)
    assert sorted(told(space), key=str) == [("Ana", None, "I sold my piano."), (None, "note", "The boiler is old.")]


def test_a_chat_of_telegram_is_its_senders_and_what_was_forwarded_nobodys(space, tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(TELEGRAM), encoding="utf-8")
    report = import_path(space, path)
    assert (report.format, report.added, len(report.left_out)) == ("telegram", 4, 2)
    assert told(space) == [
        ("Ana", None, "I bought a tandem."), ("Rita", None, "See https://x.y and go"),
        ("News", "document", "I moved to Mars."), ("Deleted Account", None, "bye"),
    ]  # fmt: skip
    assert space.facts("ana", "live in") == []
    assert import_path(space, path).added == 0


def test_an_account_of_telegram_says_who_the_user_is(space, tmp_path):
    path = tmp_path / "result.json"
    whole = {"personal_information": {"user_id": 1}, "chats": {"about": "", "list": [TELEGRAM, {**TELEGRAM, "id": 9}]}}
    path.write_text(json.dumps(whole), encoding="utf-8")
    assert import_path(space, path).added == 8
    assert [role for speaker, role, _ in told(space) if speaker == "Ana"] == ["user", "user"]
    assert {c.session for c in space.cubes()} == {"telegram-123", "telegram-9"}


def test_a_workspace_of_slack_names_its_people(space, tmp_path):
    folder = tmp_path / "slack"
    (folder / "general").mkdir(parents=True)
    (folder / "users.json").write_text(json.dumps(USERS), encoding="utf-8")
    (folder / "general" / "2024-01-01.json").write_text(json.dumps(DAY), encoding="utf-8")
    report = import_path(space, folder)
    assert (report.format, report.added) == ("slack", 2)
    assert told(space) == [
        ("Ana", None, "I deploy on Fridays, @rita: docs (https://x.y) &"), ("jira", "tool", "Closed"),
    ]  # fmt: skip
    assert import_path(space, folder).added == 0


def test_what_one_person_says_ends_nothing_of_another_and_each_is_asked_by_name(space, tmp_path):
    path = tmp_path / "_chat.txt"
    path.write_text(
        "13.01.24, 21:16 - Ana: I live in Porto.\n14.01.24, 21:17 - Bo: I live in Faro.\n15.02.24, 9:16 - Ana: I moved to Braga.",
        encoding="utf-8",
    )
    import_path(space, path)
    assert {c.text: c.state for c in space.cubes(state="any")} == {
        "I live in Porto.": "superseded", "I live in Faro.": "active", "I moved to Braga.": "active",
    }  # fmt: skip
    assert space.search("Where does Ana live?")[0].cube.text == "I moved to Braga."
    assert space.search("Where does Bo live?")[0].cube.text == "I live in Faro."
    assert space.facts("ana", "live in") == []  # a chat that was imported is no word of the space's own speakers
