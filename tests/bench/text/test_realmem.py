"""RealMem's sessions, queries and what each may search, on a small file in its format."""

import json

import pytest

from mnemos import Mnemos
from mnemos.bench.text import realmem
from mnemos.bench.text.retrieval import rank
from mnemos.errors import InvalidInput


def turn(speaker, content, **extra):
    return {"speaker": speaker, "content": content, "is_query": False, "query_id": None, **extra}


def query(content, name):
    return turn("User", content, is_query=True) | {"query_id": name, "category_name": "Dynamic Updating"}


@pytest.fixture
def task(tmp_path):
    sessions = [
        ("aa", "2025-12-15 (Monday)", [turn("User", "My tea shop opens in May."), turn("Assistant", "Noted.")]),
        (
            "bb",
            "2025-12-16 (Tuesday)",
            [
                query("When does my tea shop open?", "Q-1"),
                turn("Assistant", "In May.", memory_session_uuids=["aa", "aa", "bb", "cc"]),
                query("And the tea shop's sign?", "Q-2"),
                turn("Assistant", " ", memory_session_uuids=["bb"]),
            ],
        ),
        ("cc", "2025-12-16 (Tuesday)", [turn("User", "When does my tea shop open? In June.")]),
    ]
    dialogues = [
        {"session_identifier": f"Shop:{name}", "session_uuid": name, "current_time": date, "dialogue_turns": turns}
        for name, date, turns in sessions
    ]
    for person in ("Kenta_Tanaka", "Somebody_Else"):
        path = tmp_path / f"{person}_dialogues_256k.json"
        path.write_text(json.dumps({"_metadata": {}, "dialogues": dialogues}), encoding="utf-8")
    return realmem.load(tmp_path)


def test_gold_is_the_earlier_sessions_that_the_next_turn_names(task):
    (question,) = task.haystacks[0].questions
    assert (question.text, question.gold) == ("When does my tea shop open?", {"session": ("aa",)})
    assert [{q.split for q in h.questions} for h in task.haystacks] == [{"development"}, {"report"}]


def test_turns_have_roles_and_sessions_and_empty_ones_are_left_out(task):
    messages = task.haystacks[0].messages
    assert [(m["session"], m["role"]) for m in messages] == [
        ("aa", "user"), ("aa", "assistant"), ("bb", "user"), ("bb", "assistant"), ("bb", "user"), ("cc", "user"),
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["hybrid", "words", "vectors"])
def test_only_earlier_sessions_are_searched(task, tmp_path, method):
    haystack = task.haystacks[0]
    with Mnemos(tmp_path / "root", embedder="hashing") as memory:
        space = memory.space("kenta")
        space.add_many(haystack.messages)
        assert rank(space, haystack.questions[0], "sessions", method) == ["aa"]


def test_a_folder_without_dialogues_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="dialogues"):
        realmem.load(tmp_path)
