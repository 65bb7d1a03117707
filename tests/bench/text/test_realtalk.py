"""REALTALK's messages and evidence, on a small chat in its format."""

import json
from datetime import UTC, datetime

import pytest

from mnemos.bench.text import realtalk
from mnemos.errors import InvalidInput


def said(id, speaker, text, at, **more):
    return {"dia_id": id, "speaker": speaker, "clean_text": text, "date_time": at, "img_file": [], **more}


CHAT = {
    "name": {"speaker_1": "Ola", "speaker_2": "Kim"},
    "session_1": [
        said("D1:1", "Ola", "Got a dog!", "29.12.2023, 00:51:12"),
        said("D1:2", "Kim", "", "29.12.2023, 00:52:00", blip_caption="a dog on a sofa"),
        said("D1:3", "Ola", "", "29.12.2023, 00:53:00"),
    ],
    "events_session_1": {},
    "session_1_date_time": "29.12.2023, 00:51:12",
    "session_10": [said("D10:1", "Kim", "Bye.", "09.01.2024, 10:00:00")],
    "session_2": [said("D2:1", "Kim", "Still rainy.", "01.01.2024, 10:00:00")],
    "qa": [
        {"question": "What pet does Ola have?", "answer": "a dog", "evidence": ["D1:1; D1:02"], "category": 1},
        {"question": "What did Kim say last?", "answer": "bye", "evidence": [], "category": 2},
    ],
}


def load(folder, chat=CHAT, name="Chat_2_Ola_Kim.json"):
    (folder / name).write_text(json.dumps(chat), encoding="utf-8")
    return realtalk.load(folder).haystacks


def test_messages_are_in_order_with_their_photos(tmp_path):
    (chat,) = load(tmp_path)
    assert [m["id"] for m in chat.messages] == ["D1:1", "D1:2", "D2:1", "D10:1"]
    assert chat.messages[1]["content"] == " [shares a photo: a dog on a sofa]"
    assert chat.messages[0]["at"] == datetime(2023, 12, 29, 0, 51, 12, tzinfo=UTC)


def test_questions_have_evidence_and_are_all_for_the_report(tmp_path):
    (question,) = load(tmp_path)[0].questions
    assert question.gold == {"turn": ("D1:1", "D1:2"), "session": ("session_1",)}
    assert (question.split, question.category) == ("report", "multi-hop")
    assert question.asked_at == datetime(2024, 1, 9, 10, tzinfo=UTC)


def test_chats_are_in_the_order_of_their_numbers(tmp_path):
    load(tmp_path, name="Chat_10_A_B.json")
    assert [h.name for h in load(tmp_path)] == ["realtalk-chat_2_ola_kim", "realtalk-chat_10_a_b"]


@pytest.mark.parametrize("chat", [{"qa": []}, []])
def test_other_files_are_refused(tmp_path, chat):
    with pytest.raises(InvalidInput, match="session_1"):
        load(tmp_path, chat)
    with pytest.raises(InvalidInput, match="Chat_"):
        realtalk.load(tmp_path / "..")
