"""The benchmark of associations, on a small file in its format."""

import json

import pytest

from mnemos.bench.text import associations
from mnemos.bench.text.retrieval import Options
from mnemos.errors import InvalidInput

ITEM = {"id": "a1", "cue": "I left the skylight open.", "trigger": "The carpet is wet.", "relation": "cause"}
OTHER = {"id": "a2", "cue": "My knee won't bend.", "trigger": "Fourth floor, no lift.", "relation": "state"}


def write(path, *items):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")


def test_each_hand_has_a_space_and_a_trigger_asks_for_its_cue(tmp_path):
    write(tmp_path / "b" / "associations.jsonl", ITEM, OTHER)
    write(tmp_path / "c" / "associations.jsonl", ITEM)
    task = associations.load(Options(tmp_path))
    assert [(h.name, [m["content"] for m in h.messages]) for h in task.haystacks] == [
        ("b", ["I left the skylight open.", "My knee won't bend."]),
        ("c", ["I left the skylight open."]),
    ]
    first = task.haystacks[0]
    assert [(q.text, q.gold["cue"], q.category) for q in first.questions] == [
        ("The carpet is wet.", ("a1",), "cause"),
        ("Fourth floor, no lift.", ("a2",), "state"),
    ]
    assert all(q.asked_at > m["at"] for q in first.questions for m in first.messages)


def test_an_item_without_a_trigger_is_refused(tmp_path):
    write(tmp_path / "associations.jsonl", ITEM | {"trigger": ""})
    with pytest.raises(InvalidInput, match="line 1"):
        associations.load(Options(tmp_path))
