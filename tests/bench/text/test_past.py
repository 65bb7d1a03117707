"""The benchmark of past times: what was so then is first, and a wrong item is refused."""

import json

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text.past import Options, run
from mnemos.errors import InvalidInput

ITEM = {
    "id": "x-1", "question": "Where did I live in 2021?", "asked_at": "2025-03-01", "answer": 1,
    "told": [
        {"text": "I live in Porto.", "at": "2018-01-01"}, {"text": "I live in Faro.", "at": "2020-01-01"},
        {"text": "I live in Braga.", "at": "2022-01-01"},
    ],
}  # fmt: skip


def test_what_was_so_then_is_first(tmp_path):
    path = tmp_path / "past.jsonl"
    path.write_text(
        "\n".join(json.dumps(item) for item in (ITEM, {**ITEM, "id": "x-2", "answer": 2})), encoding="utf-8"
    )
    [methods] = run(Options(data=str(path), embedder="none"), SILENT)["hands"].values()
    assert methods["hybrid"] == {"items": 2, "first": 0.5, "found": 1.0, "not": ["x-2"]}
    assert set(methods) == {"hybrid", "words", "vectors"}


def test_an_item_without_an_answer_is_refused(tmp_path):
    path = tmp_path / "past.jsonl"
    path.write_text(json.dumps({**ITEM, "answer": 3}), encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        run(Options(data=str(path), embedder="none"), SILENT)
