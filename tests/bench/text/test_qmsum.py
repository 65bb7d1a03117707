"""QMSum's turns and spans, on a small file in its format."""

import json

import pytest

from mnemos.bench.text import qmsum
from mnemos.errors import InvalidInput

MEETING = {
    "topic_list": [],
    "general_query_list": [{"query": "Summarise.", "answer": "x"}],
    "specific_query_list": [
        {"query": "What of the battery?", "answer": "x", "relevant_text_span": [["1", "3"], ["3", "4"]]},
        {"query": "What was said in silence?", "answer": "x", "relevant_text_span": [["2", "2"]]},
    ],
    "meeting_transcripts": [
        {"speaker": "PM", "content": "Good morning ."},
        {"speaker": "ID", "content": "The battery is too big ."},
        {"speaker": "UI", "content": ""},
        {"speaker": "PM", "content": "Use a smaller one ."},
        {"speaker": "ID", "content": "Okay ."},
    ],
}


def load(folder, name="val.jsonl"):
    path = folder / name
    path.write_text(json.dumps(MEETING) + "\n", encoding="utf-8")
    return qmsum.load(path).haystacks[0]


def test_gold_is_the_turns_of_the_spans_that_say_something(tmp_path):
    haystack = load(tmp_path)
    assert [(q.text, q.gold["turn"], q.split) for q in haystack.questions] == [
        ("What of the battery?", ("1", "3", "4"), "development")
    ]
    assert [(m["id"], m["speaker"]) for m in haystack.messages] == [("0", "PM"), ("1", "ID"), ("3", "PM"), ("4", "ID")]
    assert [m["at"] for m in haystack.messages] == sorted({m["at"] for m in haystack.messages})


def test_other_files_are_for_the_report(tmp_path):
    assert {q.split for q in load(tmp_path, "test.jsonl").questions} == {"report"}


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text('{"a": 1}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="meeting_transcripts"):
        qmsum.load(path)
