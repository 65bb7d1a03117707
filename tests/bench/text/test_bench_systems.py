"""`mnemos bench systems`: every system on the same texts, each embedded once, and what each mechanism is worth."""

import pytest

from mnemos.bench.registry import get
from mnemos.bench.run import run_benchmark
from mnemos.bench.text import systems_tables as tables
from mnemos.bench.text.systems_run import leave_one_out, spaced
from mnemos.bench.text.systems_sets import SETS, facts
from mnemos.errors import InvalidInput
from mnemos.text.system import DEFAULT


@pytest.fixture(scope="module")
def result():
    names = ("mnemos", "vectors", "mem0-graph")
    return run_benchmark("systems", systems=names, sets=("facts",), questions=6, embedder="hashing")


def test_each_system_is_measured_beside_the_others_and_the_whole_conversation(result):
    part = result["sets"]["facts"]
    rows = part["systems"]
    assert list(rows) == ["mnemos", "vectors", "mem0-graph"]
    assert rows["mnemos"]["first"] >= rows["vectors"]["first"]
    assert all(0 < r["tokens"] < part["full_context"] / 4 for r in rows.values())
    assert rows["vectors"]["embedded"] == 1.0
    assert rows["mem0-graph"]["searched"] < 1.0 == rows["vectors"]["searched"]
    assert {r["calls"] for r in rows.values()} == {0}


def test_the_default_is_measured_without_each_mechanism(result):
    left = result["sets"]["facts"]["without"]
    assert set(left) == set(leave_one_out(DEFAULT))
    assert {"links", "promote-fact", "signals: meaning"} <= set(left)
    assert left["signals: meaning"]["n"] == 6


def test_the_tables_name_the_first_of_each_set(result, tmp_path):
    lines = tables.side_by_side(result)
    assert lines[0] == ["system", "Facts that change (generated): first"]
    assert lines[-1][1] == ", ".join(tables.best(result, "facts"))
    assert all(len(line) == len(lines[0]) for line in lines)
    assert tables.of_set("locomo")(result)[1:] == []  # not measured
    assert tables.without(result)[1][0] == "nothing"
    assert tables.plot(result, tmp_path / "systems.png").stat().st_size > 1_000


def test_gold_of_changing_facts_are_the_statements_of_the_value_that_holds():
    [haystack, _] = facts(None).haystacks
    texts = {m["id"]: m for m in haystack.messages}
    for question in haystack.questions:
        gold = question.gold["statement"]
        assert gold
        assert max(texts[i]["at"] for i in gold) <= question.asked_at


def test_questions_are_evenly_spaced_and_unknown_names_are_refused():
    assert spaced(range(10), 5) == [0, 2, 4, 6, 8]
    assert spaced(range(3), 5) == [0, 1, 2]
    with pytest.raises(InvalidInput, match="no system 'mem-0'"):
        run_benchmark("systems", systems=("mem-0",), sets=("facts",))
    with pytest.raises(InvalidInput, match="give --data the folder that has locomo10.json"):
        run_benchmark("systems", sets=("locomo",))
    assert {f"systems-{name}" for name in SETS} <= set(get("systems").tables)
