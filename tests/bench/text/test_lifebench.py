"""LifeBench's records and evidence, on small files in its format."""

import json

import pytest

from mnemos.bench.text import lifebench
from mnemos.errors import InvalidInput

NOTE = {"type": "note", "title": "Plans", "content": "Buy a kite.", "summarized_info": "Lu plans.", "phone_id": 1}
FILES = {
    "persona": {"name": "Lu Mingqiang"},
    "note": [NOTE | {"datetime": "2025-03-01 20:00:00"}, NOTE | {"content": "Sell it.", "datetime": "2025-03-02 20:00:00"}],
    "calendar": [
        {
            "type": "calendar", "title": "Tea", "description": "Tea with Chen.", "phone_id": "1",
            "start_time": "2025-02-02 11:30:00", "end_time": "2025-02-02 14:00:00", "datetime": "2025-01-01 19:00:00",
        }
    ],
    "call": [{"contactName": "Wife", "datetime": "2025-02-03 13:05:00", "call_type": "Dial", "phone_id": 1}],
    "contact": [{"name": "Lu Jianguo", "relation": "Father", "nickname": "Dad", "phoneNumber": "138", "phone_id": 1}],
    "photo": [
        {
            "caption": "A kite.", "datetime": "2025-01-01 09:35:01", "faceRecognition": ["Zihan"], "imageTag": ["Kite"],
            "location": {"city": "Haikou", "streetName": "", "poi": "Park"}, "ocrText": "None", "phone_id": 1,
        },
        {
            "caption": "A bill.", "datetime": "2025-01-02 09:35:01", "faceRecognition": [], "imageTag": [],
            "location": None, "ocrText": "36 yuan", "phone_id": 2,
        },
    ],
    "push": [{"title": "Paid", "content": "36 yuan", "datetime": "2025-01-03 10:00:00", "source": "Bank", "phone_id": 1}],
    "sms": [
        {"message_content": "Hi!", "contactName": "Chen", "message_type": "Send", "phone_id": 1,
         "datetime": "2025-01-04 10:00:00"},
        {"message_content": "Yes?", "contactName": "Chen", "message_type": "Receive", "phone_id": 2,
         "datetime": "2025-01-04 10:01:00"},
    ],
    "agent_chat": [
        {
            "date": "2025-01-05", "phone_id": 0,
            "conversation": {"turn 1": {"user": {"content": "A leak!"}, "assistant": {"content": "Where?"}}},
        }
    ],
    "QA_clean": [
        {
            "question": "What was planned?", "question_type": "Multi-hop reasoning", "ask_time": "2025-02",
            "evidence": [{"type": "note", "id": "1"}, {"type": "sms", "id": "2"}, {"type": "call", "id": "99"}],
        },
        {"question": "What never was?", "question_type": "Unanswerable", "ask_time": "2025-12"},
        {
            "question": "Who?", "question_type": "Multi-hop reasoning", "ask_time": "2025-12",
            "evidence": [{"type": "call", "id": "7"}],
        },
    ],
}  # fmt: skip


@pytest.fixture
def haystacks(tmp_path):
    for language in ("en", "zh"):
        folder = tmp_path / language / "lumingqiang"
        folder.mkdir(parents=True)
        for name, value in FILES.items():
            (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return lifebench.load(tmp_path).haystacks


def test_a_cube_has_the_readable_part_of_its_record(haystacks):
    texts = {m["id"]: m["content"] for m in haystacks[0].messages}
    assert texts == {
        "note/1": "Plans\nBuy a kite.", "note/1#2": "Plans\nSell it.", "calendar/1": "Tea\nTea with Chen.",
        "call/1": "Dial: Wife", "contact/1": "Lu Jianguo, Dad, Father, 138", "photo/1": "A kite.\nPark, Haikou\nZihan\nKite",
        "photo/2": "A bill.\n36 yuan", "push/1": "Bank: Paid\n36 yuan", "sms/1": "Chen: Hi!", "sms/2": "Chen: Yes?",
        "agent_chat/0": "user: A leak!\nassistant: Where?",
    }  # fmt: skip
    assert {m["content"] for m in haystacks[1].messages if m["id"] == "call/1"} == {"Dial：Wife"}


def test_a_short_message_is_of_whoever_sent_it(haystacks):
    messages = {m["id"]: m for m in haystacks[0].messages}
    assert (messages["sms/1"]["speaker"], messages["sms/2"]["speaker"]) == ("Lu Mingqiang", "Chen")


def test_records_come_by_time_a_date_of_the_calendar_by_its_begin_and_a_contact_first(haystacks):
    messages = haystacks[0].messages
    assert [m["at"] for m in messages] == sorted(m["at"] for m in messages)
    assert {m["id"]: str(m["at"])[:10] for m in messages if m["id"] in ("calendar/1", "contact/1")} == {
        "calendar/1": "2025-02-02",
        "contact/1": "2025-01-01",
    }


def test_evidence_that_dangles_is_dropped_and_questions_without_any_too(haystacks):
    (question,) = haystacks[0].questions
    assert question.gold == {"record": ("note/1", "note/1#2", "sms/2")}
    assert str(question.asked_at)[:16] == "2025-02-28 23:59"
    assert [q.split for h in haystacks for q in h.questions] == ["en", "zh"]


def test_a_folder_without_questions_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="QA_clean"):
        lifebench.load(tmp_path)
