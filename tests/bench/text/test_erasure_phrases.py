"""The benchmark of forgetting by phrase: its items are sound, what they say holds, and it sees what is wrong."""

import json

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import erasure_phrases
from mnemos.bench.text.erasure_phrases import NAME, Options, problem, run, script
from mnemos.bench.text.hands import packaged, read
from mnemos.errors import InvalidInput
from mnemos.index.phrase import Phrase

HANDS = packaged(NAME, erasure_phrases.valid)
ITEMS = [item for items in HANDS.values() for item in items]


def test_the_items_are_many_in_eight_scripts():
    assert len(ITEMS) >= 250
    scripts = [script(item) for item in ITEMS]
    wanted = ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Chinese", "Japanese", "Korean", "Thai")
    assert all(scripts.count(name) >= 10 for name in wanted)
    assert all(item["gone"] != item["kept"] for item in ITEMS)


def test_what_the_hands_say_holds_of_every_item():
    wrong = []
    for item in ITEMS:
        phrase = Phrase(item["forget"])
        taken = [i for i, text in enumerate(item["cubes"]) if phrase.occurs(text)]
        if taken != item["gone"]:
            wrong.append((item["id"], item["forget"], taken, item["gone"]))
    assert wrong == []


TOLD = ["Jane Doe called.", "Jane Smith wrote.", "A doe."]
ITEM = {"id": "x-1", "cubes": TOLD, "forget": "Jane Doe", "gone": [0], "kept": [1, 2]}


def test_a_run_counts_strangers_and_what_is_missed(tmp_path):
    good, stranger = ITEM, {**ITEM, "id": "x-2", "gone": [], "kept": [0, 1, 2]}
    missed = {**ITEM, "id": "x-3", "gone": [0, 1], "kept": [2]}
    (tmp_path / "erase.jsonl").write_text("\n".join(map(json.dumps, (good, stranger, missed))))
    result = run(Options(data=str(tmp_path)), SILENT)
    row = result["scripts"]["Latin"]
    assert (row["items"], row["memories"], row["strangers_erased"], row["missed"], row["unproven"]) == (3, 9, 1, 1, 0)
    assert result["failed"] == {
        "strangers_erased": [f"{tmp_path.name} x-2"], "missed": [f"{tmp_path.name} x-3"], "unproven": [],
    }  # fmt: skip
    assert problem(result) == f"strangers erased: {tmp_path.name} x-2; missed: {tmp_path.name} x-3"
    only = run(Options(data=str(write(tmp_path / "one.jsonl", good))), SILENT)
    assert problem(only) is None
    assert list(only["hands"]) == ["one"]


@pytest.mark.parametrize("item", [{}, [], {**ITEM, "gone": [0, 7]}, {**ITEM, "kept": [1]}, {**ITEM, "forget": ""}])
def test_an_item_that_does_not_add_up_is_named(tmp_path, item):
    with pytest.raises(InvalidInput, match="line 1: this is no item"):
        read(write(tmp_path / "a.jsonl", item), "erase.jsonl", erasure_phrases.valid)
    with pytest.raises(InvalidInput, match="there is no"):
        read(tmp_path / "nowhere", "erase.jsonl", erasure_phrases.valid)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="has no .jsonl file"):
        read(tmp_path / "empty", "erase.jsonl", erasure_phrases.valid)


def write(path, item):
    path.write_text(json.dumps(item))
    return path
