"""The official LongMemEval protocol, on a small file in its format."""

import json

import pytest

from mnemos.bench.text import longmemeval
from mnemos.errors import InvalidInput


def user(text, answer=False):
    return {"role": "user", "content": text, "has_answer": answer}


def assistant(text, answer=False):
    return {"role": "assistant", "content": text, "has_answer": answer}


def entry(question_id, sessions, **changes):
    return {
        "question_id": question_id,
        "question_type": "single-session-user",
        "question": "What did I buy?",
        "answer": "a lamp",
        "question_date": "2023/06/01 (Thu) 08:00",
        "haystack_session_ids": list(sessions),
        "haystack_sessions": list(sessions.values()),
        "haystack_dates": [f"2023/05/{20 + i} (Sat) 02:21" for i in range(len(sessions))],
        "answer_session_ids": [name for name in sessions if name.startswith("answer")],
    } | changes


@pytest.fixture
def data(tmp_path):
    entries = [
        entry(
            "q1",
            {
                "sharegpt_1": [user("Hello."), assistant("Hi!")],
                "answer_1": [user("I bought a lamp.", True), assistant("Nice."), user("It is green.")],
                "answer_2": [user("Which colour?"), assistant("Your lamp is green.", True)],
                "quiet": [assistant("Anybody there?")],
            },
        ),
        entry("q2", {"answer_9": [user("Tell me."), assistant("You bought a lamp.", True)]}),
        entry("q3_abs", {"noise": [user("Hello.")]}),
    ]
    path = tmp_path / "longmemeval_s.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def test_a_document_is_the_user_turns_of_a_session(data):
    first = longmemeval.load(data).haystacks[0]
    assert [(m["id"], m["content"]) for m in first.messages] == [
        ("sharegpt_1", "Hello."),
        ("answer_1", "I bought a lamp. It is green."),
        ("answer_2", "Which colour?"),
    ]
    assert first.messages[1]["at"].isoformat() == "2023-05-21T02:21:00+00:00"


def test_gold_needs_a_user_turn_with_the_answer(data):
    """answer_2 says it in the assistant's turn only: the official code renames it `noans_2`."""
    first, second = (h.questions[0] for h in longmemeval.load(data).haystacks)
    assert first.gold == {"session": ("answer_1",)}
    assert first.split == "strict"
    assert second.gold == {"session": ()}
    assert second.split == "no-gold"
    assert first.asked_at.isoformat() == "2023-06-01T08:00:00+00:00"


def test_abstention_questions_are_left_out(data):
    assert [h.name for h in longmemeval.load(data).haystacks] == ["q1", "q2"]


def test_a_repeated_session_id_gets_its_own_document(tmp_path):
    twice = entry(
        "q", {"a": [user("One.")]}, haystack_session_ids=["a", "a"], haystack_dates=["2023/05/20 (Sat) 02:21"] * 2
    )
    twice["haystack_sessions"] = [[user("One.")], [user("Two.")]]
    path = tmp_path / "x.json"
    path.write_text(json.dumps([twice]), encoding="utf-8")
    assert [m["id"] for m in longmemeval.load(path).haystacks[0].messages] == ["a", "a#2"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [('{"a": 1}', "expected a list"), ("[3]", "expected a list"), ('[{"question_id": "q"}]', r"\[0\]: question_type")],
)
def test_another_file_is_refused(tmp_path, content, complaint):
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=complaint):
        longmemeval.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="--data"):
        longmemeval.load(tmp_path / "none.json")


def test_a_date_of_another_form_is_refused():
    with pytest.raises(InvalidInput, match="yesterday"):
        longmemeval.moment("yesterday")
