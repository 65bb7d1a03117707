"""BEAM's questions and gold, on a small folder in its format."""

import json

import pytest

from mnemos.bench.text import beam
from mnemos.errors import InvalidInput


def chat(batches):
    return [
        {"batch_number": number, "time_anchor": None, "turns": [turns]} for number, turns in enumerate(batches, start=1)
    ]


def said(id, role, content, **extra):
    return {"id": id, "role": role, "content": content, **extra}


@pytest.fixture
def data(tmp_path):
    for name in ("2", "11"):
        folder = tmp_path / name
        folder.mkdir()
        turns = [
            [said(0, "user", "Plan my trip. ->-> 1,1", time_anchor="March-15-2024"), said(1, "assistant", "Gladly.")],
            [
                said(2, "user", "We fly in June. ->-> 2,N/A", time_anchor="April-05-2024"),
                said(3, "assistant", "Noted."),
            ],
        ]
        probes = {
            "abstention": [{"question": "Who?", "rubric": []}],
            "contradiction_resolution": [
                {"question": "Do we fly?", "source_chat_ids": {"first_statement": [2], "second_statement": [0, 2]}}
            ],
            "summarization": [{"question": "What is planned?", "source_chat_ids": [[0], [[2, 0]]]}],
        }
        (folder / "chat.json").write_text(json.dumps(chat(turns)), encoding="utf-8")
        (folder / "probing_questions.json").write_text(json.dumps(probes), encoding="utf-8")
    return tmp_path


def test_source_ids_are_flattened_in_order_each_once():
    assert beam.source_ids({"a": [58, [24]], "b": [24, 3]}) == ("58", "24", "3")
    assert beam.source_ids(None) == ()
    assert beam.source_ids(7) == ("7",)


def test_questions_with_sources_are_asked_by_kind_and_chats_are_split(data):
    task = beam.load(data)
    assert [[q.category for q in h.questions] for h in task.haystacks] == [
        ["contradiction_resolution", "summarization"]
    ] * 2
    assert [h.questions[0].split for h in task.haystacks] == ["development", "report"]
    first = task.haystacks[0]
    assert [q.gold["message"] for q in first.questions] == [("2", "0"), ("0", "2")]
    assert {i for q in first.questions for i in q.gold["message"]} <= {m["id"] for m in first.messages}


def test_messages_have_roles_and_times_and_no_generation_markers(data):
    messages = beam.load(data).haystacks[0].messages
    assert [m["content"] for m in messages] == ["Plan my trip.", "Gladly.", "We fly in June.", "Noted."]
    assert [m["role"] for m in messages] == ["user", "assistant", "user", "assistant"]
    assert str(messages[2]["at"]).startswith("2024-04-05")
    assert {q.asked_at for q in beam.load(data).haystacks[0].questions} == {messages[-1]["at"]}


def test_a_folder_without_chats_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="probing_questions.json"):
        beam.load(tmp_path)
    with pytest.raises(InvalidInput, match="--data"):
        beam.load(tmp_path / "none")
