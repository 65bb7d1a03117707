"""FactConsolidation's facts and gold, on a small file in its format."""

import json

import pytest

from mnemos.bench.text import factconsolidation
from mnemos.errors import InvalidInput

CONTEXT = """Here is a list of facts:
0. Apple TV was developed by Apple Inc..
1. Bengaluru is located in the continent of Asia.
2. AppleScript was developed by Apple Inc..
3. Bengaluru is located in the continent of Oceania.
4. Fiji is located in the continent of Oceania.
"""


@pytest.fixture
def task(tmp_path):
    entry = {
        "context": CONTEXT,
        "questions": [
            "Which continent is Bengaluru located in?",
            "Who is the developer of AppleScript?",
            "Who wrote Dune?",
        ],
        "answers": [["Oceania"], ["Apple Inc."], ["Frank Herbert"]],
        "metadata": {"source": "factconsolidation_sh_6k"},
    }
    path = tmp_path / "single_hop.json"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    return factconsolidation.load(path)


def test_facts_are_told_in_their_order_without_numbers(task):
    messages = task.haystacks[0].messages
    assert [m["content"] for m in messages][1] == "Bengaluru is located in the continent of Asia."
    assert [m["at"] for m in messages] == sorted({m["at"] for m in messages})


def test_gold_is_the_fact_of_the_answer_about_what_was_asked(task):
    questions = task.haystacks[0].questions
    assert [(q.text, q.gold["fact"], q.category) for q in questions] == [
        ("Which continent is Bengaluru located in?", ("3",), "6k"),
        ("Who is the developer of AppleScript?", ("2",), "6k"),
    ]


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('[{"context": "0. A."}]', encoding="utf-8")
    with pytest.raises(InvalidInput, match="questions"):
        factconsolidation.load(path)
