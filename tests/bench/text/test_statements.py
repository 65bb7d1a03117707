"""The benchmark of statements: it reads the package's items or a file, and notices what is hidden, merged or ended."""

import json

import pytest

from mnemos.bench.progress import Silent
from mnemos.bench.text import statements
from mnemos.bench.text.hands import packaged, read
from mnemos.bench.text.statements import KINDS, Options, run, valid
from mnemos.errors import InvalidInput

ITEMS = [
    {"id": "k", "kind": "keep", "answer": 0, "question": "Where do I live?", "told": [
        {"text": "I live in Porto.", "at": "2024-01-01T10:00", "speaker": "Ana", "role": "user"},
        {"text": "We moved to Postgres.", "at": "2024-02-01T10:00", "speaker": "Ana", "role": "user"}]},
    {"id": "e", "kind": "end", "answer": 1, "old": 0, "question": "Where do I live?", "told": [
        {"text": "I live in Porto.", "at": "2024-01-01T10:00", "speaker": "Ana"},
        {"text": "I live in Faro now.", "at": "2024-02-01T10:00", "speaker": "Ana"}]},
    {"id": "o", "kind": "others", "answer": 0, "question": "Where do I live?", "told": [
        {"text": "I live in Porto.", "at": "2024-01-01T10:00", "speaker": "Ana", "role": "user"},
        {"text": "I live in Oslo now.", "at": "2024-02-01T10:00", "role": "tool", "source": "https://a.example"}]},
    {"id": "r", "kind": "repeat", "answer": 1, "question": "Did I take my pills on 2 January 2024?", "told": [
        {"text": "Took my pills.", "at": f"2024-01-0{day}T08:00", "speaker": "Ana"} for day in (1, 2, 3)]},
]  # fmt: skip


def write(path, items):
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def test_every_measure_of_every_kind_is_met_by_plain_items(tmp_path):
    result = run(Options(data=str(write(tmp_path / "mine.jsonl", ITEMS)), embedder="none"), Silent())
    assert result["hands"].keys() == {"mine", "all"}
    for kind, names in KINDS.items():
        row = result["hands"]["mine"][kind]
        assert row == {"items": 1, "shares": dict.fromkeys(names, 1.0), "not": {name: [] for name in names}}


def test_what_is_merged_or_ended_wrongly_is_counted(tmp_path, monkeypatch):
    wrong = [{**ITEMS[1], "kind": "keep", "id": "w"}, {**ITEMS[0], "kind": "end", "old": 0, "id": "x"}]
    result = run(Options(data=str(write(tmp_path / "mine.jsonl", wrong)), embedder="none"), Silent())
    assert result["hands"]["mine"]["keep"]["not"]["kept"] == ["w"]
    assert result["hands"]["mine"]["end"]["not"]["ended"] == ["x"]
    rows = statements.table(result)
    assert ["mine", "keep", 1, "kept", "0.0 %", 1] in rows


def test_a_folder_has_a_file_for_each_hand(tmp_path):
    for hand in "ab":
        (tmp_path / hand).mkdir()
        write(tmp_path / hand / "statements.jsonl", ITEMS)
    assert {hand: len(items) for hand, items in read(tmp_path, "statements.jsonl", valid).items()} == {"a": 4, "b": 4}


@pytest.mark.parametrize("line", ["{", '{"id": "a"}', json.dumps({**ITEMS[0], "kind": "other"}), "[]"])
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "mine.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        read(path, "statements.jsonl", valid)
    with pytest.raises(InvalidInput, match="nothing"):
        read(tmp_path / "nothing", "statements.jsonl", valid)


def test_the_items_of_the_package_are_of_several_hands():
    hands = packaged("statements", valid)
    assert len(hands) >= 2
    for items in hands.values():
        assert {item["kind"] for item in items} == set(KINDS)
    assert sum(map(len, hands.values())) >= 340
