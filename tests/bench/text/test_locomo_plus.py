"""LoCoMo-Plus' cues and triggers, on a small file in its format."""

import json

import pytest

from mnemos.bench.text import locomo_plus
from mnemos.errors import InvalidInput

ROWS = [
    {
        "relation_type": "causal",
        "cue_dialogue": "A: I learned to say no.\\nB: Good for you.",
        "trigger_query": "A: I am overwhelmed: I said yes.",
        "time_gap": "two weeks later",
    },
    {
        "relation_type": "goal",
        "cue_dialogue": "A: I want to run ten miles.\nB: You will.",
        "trigger_query": "A: My shoes are worn out.",
        "time_gap": "one month later",
    },
]


def load(folder, name):
    path = folder / name
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return locomo_plus.load(path).haystacks[0]


def test_a_trigger_is_asked_without_its_speaker_and_its_cue_is_gold(tmp_path):
    haystack = load(tmp_path, "locomo_plus.json")
    assert [m["content"] for m in haystack.messages][0] == "A: I learned to say no.\nB: Good for you."
    assert [(q.text, q.category, q.gold["cue"]) for q in haystack.questions] == [
        ("I am overwhelmed: I said yes.", "causal", ("0",)),
        ("My shoes are worn out.", "goal", ("1",)),
    ]
    assert all(q.asked_at > m["at"] for q in haystack.questions for m in haystack.messages)


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("locomo_plus.json", ["development", "report"]),
        ("locomo_plus_even.json", ["development", "development"]),
        ("locomo_plus_odd.json", ["report", "report"]),
    ],
)
def test_even_rows_are_for_development(tmp_path, name, splits):
    assert [q.split for q in load(tmp_path, name).questions] == splits


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('[{"cue_dialogue": "A: Hi."}]', encoding="utf-8")
    with pytest.raises(InvalidInput, match="trigger_query"):
        locomo_plus.load(path)
