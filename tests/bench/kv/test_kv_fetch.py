"""What is chosen for a question, or fetched in time, answers more than its baseline; figures come from the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.bench import registry
from mnemos.bench.kv import fetch, fetching

RESULTS = Path(__file__).parents[3] / registry.RESULTS


@torch.no_grad()
@pytest.mark.parametrize("part", ["specache", "epicache", "memory3", "citrus"])
def test_a_method_answers_more_than_its_baseline(small_model, part):
    torch.set_num_threads(1)
    rows = getattr(fetching, part)(small_model, 20 if part == "specache" else 6)
    own, baseline, _ = fetch.BASELINES[part]
    assert rows[own]["accuracy"] > rows[baseline]["accuracy"]


@torch.no_grad()
def test_bytes_and_entries_are_those_that_are_held(small_model):
    rows = fetching.specache(small_model, 4)
    assert rows["2 bits alone"]["fast"] < rows["4 bits alone"]["fast"] < 0.5
    assert fetching.epicache(small_model, 2)["epicache: 4 episodes"]["peak"] == 32  # the budget and a block
    kept = {name: row.get("kept") for name, row in fetching.memory3(small_model, 4).items()}
    assert kept["memory3: last layer, 4 of 16 by keydiff"] == 4 / 16 / 2


def test_no_key_names_two_references():
    keys = [int(key) for _, key, _ in fetching.references(99)]
    assert len(keys) == len(set(keys)) == 32


@pytest.mark.parametrize(
    ("benchmark", "method"),
    [("kv-fetch", name) for name in fetch.BASELINES]
    + [("kv-layers", name) for name in ("hcam", "longmem", "attendre")],
)
def test_the_last_result_has_a_figure_and_a_table_for_each_method(benchmark, method):
    from mnemos.registry import get

    found = registry.get(benchmark)
    result = json.loads(found.path(RESULTS).read_text(encoding="utf-8"))
    figure = found.figure(result, get(method, form="activation"))
    assert figure.text.endswith((" %", "training", "ago", "later"))
    assert figure.others
    for table in found.tables.values():
        header, *rows = table(result)
        assert {len(row) for row in rows} == {len(header)}
