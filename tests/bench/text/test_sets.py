"""The page of all sets: what is read from the results, and that the stored page is of the stored results."""

import json
from pathlib import Path

import pytest

from mnemos.bench.registry import RESULTS
from mnemos.bench.run import run_benchmark
from mnemos.bench.text import sets
from mnemos.bench.text.task import checksum
from mnemos.errors import InvalidInput

ROOT = Path(__file__).parents[3]


def split(value, **categories):
    return {"n": 4, "hit@1": value, "by_category": {name: {"n": 2, "hit@1": v} for name, v in categories.items()}}


@pytest.fixture
def results(tmp_path):
    values = {"mnemos": (0.5, 0.9), "bm25": (0.75, 0.8), "vectors": (0.25, 0.1)}
    systems = {
        name: {"paragraph": {"splits": {"same": split(a, de=a, en=a + 0.1), "to-english": split(b, de=b)}}}
        for name, (a, b) in values.items()
    }
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "xquad.json").write_text(json.dumps({"systems": systems}), encoding="utf-8")
    return tmp_path


def test_every_language_is_beside_the_better_of_words_and_vectors(results, tmp_path):
    result = run_benchmark("sets", tmp_path / "out.json", results=results)
    rows = [row[1:] for row in sets.table(result)[1:]]
    assert rows == [
        ["same", "hit@1", 4, "0.750", "0.250", "0.500", "-0.250"],
        ["same de", "hit@1", 2, "0.750", "0.250", "0.500", "-0.250"],
        ["same en", "hit@1", 2, "0.850", "0.350", "0.600", "-0.250"],
        ["to-english", "hit@1", 4, "0.800", "0.100", "0.900", "+0.100"],
        ["to-english de", "hit@1", 2, "0.800", "0.100", "0.900", "+0.100"],
    ]


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="Measure one first"):
        run_benchmark("sets", tmp_path / "out.json", results=tmp_path)


def test_the_stored_page_is_of_the_stored_results():
    stored = json.loads((ROOT / RESULTS / "text" / "sets.json").read_text(encoding="utf-8"))
    folder = ROOT / RESULTS / "text"
    sums = {path.stem: checksum(path) for path in folder.glob("*.json") if path.stem in stored["results"]}
    assert sums == stored["results"], "run `mnemos bench sets` after measuring, then `mnemos bench report`"
