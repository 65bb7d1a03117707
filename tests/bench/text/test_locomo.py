"""LoCoMo's questions and gold, on a small file in its format."""

import json

import pytest

from mnemos.bench.text import locomo
from mnemos.errors import InvalidInput


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["D1:3"], ("D1:3",)),
        (["D8:6; D9:17"], ("D8:6", "D9:17")),
        (["D9:1 D4:4 D4:6"], ("D9:1", "D4:4", "D4:6")),
        (["D30:05"], ("D30:5",)),
        (["D:11:26"], ("D11:26",)),
        (["D1:18", "D", "D1:18"], ("D1:18", "D")),
        ([], ()),
    ],
)
def test_evidence_is_mended_where_its_meaning_is_plain(written, meant):
    assert locomo.evidence_ids(written) == meant


@pytest.fixture
def data(tmp_path):
    def conversation(name):
        return {
            "sample_id": name,
            "conversation": {
                "speaker_a": "Ana",
                "speaker_b": "Bo",
                "session_1_date_time": "1:56 pm on 8 May, 2023",
                "session_1": [
                    {"speaker": "Ana", "dia_id": "D1:1", "text": "Hi Bo!"},
                    {
                        "speaker": "Bo",
                        "dia_id": "D1:2",
                        "text": "Look!",
                        "blip_caption": "a photo of a dog",
                        "img_url": [],
                    },
                ],
                "session_2_date_time": "10:04 am on 12 June, 2023",
                "session_2": [{"speaker": "Ana", "dia_id": "D2:1", "text": "I sold the car."}],
                "session_3_date_time": "10:04 am on 13 June, 2023",
            },
            "qa": [
                {"question": "What does Bo show?", "answer": "a dog", "evidence": ["D1:2"], "category": 4},
                {"question": "What was sold when?", "answer": "x", "evidence": ["D2:01; D1:1", "D9:9"], "category": 1},
                {"question": "Who?", "answer": "x", "evidence": [], "category": 3},
                {"question": "Why not?", "adversarial_answer": "x", "evidence": ["D2:1"], "category": 5},
            ],
        }

    path = tmp_path / "locomo10.json"
    path.write_text(json.dumps([conversation("conv-26"), conversation("conv-44")]), encoding="utf-8")
    return path


def test_messages_carry_text_caption_speaker_session_and_time(data):
    first, second, third = locomo.load(data).haystacks[0].messages
    assert first["id"] == "D1:1"
    assert first["content"] == "Hi Bo!"
    assert second["content"] == "Look! [shares a photo: a photo of a dog]"
    assert (second["speaker"], second["session"]) == ("Bo", "session_1")
    assert third["session"] == "session_2"
    assert str(third["at"]).replace("T", " ").startswith("2023-06-12 10:04")


def test_questions_without_evidence_are_left_out_and_gold_has_two_granularities(data):
    task = locomo.load(data)
    questions = task.haystacks[0].questions
    assert [q.category for q in questions] == ["single-hop", "multi-hop", "adversarial"]
    assert questions[1].gold == {"turn": ("D2:1", "D1:1", "D9:9"), "session": ("session_2", "session_1", "session_9")}
    assert set(questions[0].gold) == set(task.granularities)


def test_questions_are_asked_after_the_last_session(data):
    haystack = locomo.load(data).haystacks[0]
    assert {q.asked_at for q in haystack.questions} == {haystack.messages[-1]["at"]}


def test_five_conversations_are_for_development(data):
    assert [{q.split for q in h.questions} for h in locomo.load(data).haystacks] == [{"development"}, {"report"}]


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('[{"a": 1}]', encoding="utf-8")
    with pytest.raises(InvalidInput):
        locomo.load(path)
