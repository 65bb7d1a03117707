import pytest

from mnemos.bench.text import facts, stage_faults, temporal_order
from mnemos.bench.text.synthetic_people import ATTRIBUTES, PEOPLE, half


@pytest.fixture(scope="module")
def year():
    return facts.run(people=3, distractors=15, embedder="none")


def test_templates_are_many_and_split_in_two():
    for attribute in ATTRIBUTES:
        assert len(attribute.first) >= 8
        assert not set(half(attribute.first, "dev")) & set(half(attribute.first, "test"))
        assert set(half(attribute.first, "dev")) | set(half(attribute.first, "test")) == set(attribute.first)


def test_a_year_is_seeded_and_changes_up_to_ten_times():
    events = facts.make(0, PEOPLE[:3], "dev", 5)
    assert events == facts.make(0, PEOPLE[:3], "dev", 5)
    assert events != facts.make(1, PEOPLE[:3], "dev", 5)
    assert events == sorted(events, key=lambda e: e.at)
    assert {e.state.changes for e in events if e.state} == set(range(11))
    assert sum(e.state is None for e in events) == 15


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_newest_value_comes_first_however_often_it_changed(year, split):
    found = year["splits"][split]
    assert found["search"]["all"] >= 0.95
    assert found["facts_table"]["all"] >= 0.95
    assert found["search_as_of"]["all"] >= 0.95
    assert found["append_only"]["all"] < found["search"]["all"] - 0.3


@pytest.mark.parametrize("split", ["dev", "test"])
def test_hardly_anything_that_holds_is_ended(year, split):
    assert year["splits"][split]["falsely_ended_share"] <= 0.005


def test_the_same_seed_gives_the_same_year(year):
    assert facts.run(people=3, distractors=15, embedder="none") == year


@pytest.fixture(scope="module")
def faults():
    return stage_faults.run(people=3, planted=30)["faults"]


def part(scores, stage):
    return {name: value for name, value in scores.items() if name.startswith(stage)}


def test_without_a_fault_the_stages_do_well(faults):
    scores = faults["none"]
    assert scores["extraction_f1"] > 0.9
    assert scores["extraction_resistance"] > 0.9
    assert scores["update_correct"] > 0.95
    assert scores["answer_correct"] > 0.85


@pytest.mark.parametrize(
    ("fault", "stage", "untouched"),
    [
        ("dropped updates", "update_correct", "extraction"),
        ("weak retriever", "answer_correct", "extraction"),
        ("weak retriever", "answer_correct", "update"),
    ],
)
def test_a_fault_shows_in_its_stage_and_in_the_answer_only(faults, fault, stage, untouched):
    assert part(faults[fault], untouched) == part(faults["none"], untouched)
    assert faults[fault][stage] < faults["none"][stage] - 0.1
    assert faults[fault]["answer_correct"] < faults["none"]["answer_correct"] - 0.1


def test_a_hallucinating_writer_shows_in_what_was_extracted(faults):
    before, after = faults["none"], faults["hallucinating writer"]
    assert after["extraction_precision"] < before["extraction_precision"] - 0.05
    assert after["extraction_resistance"] < before["extraction_resistance"]
    assert after["extraction_recall"] == before["extraction_recall"]
    assert after["update_correct"] == pytest.approx(before["update_correct"], abs=0.03)
    assert after["answer_hallucinated"] > before["answer_hallucinated"]


def test_the_scores_of_a_stage_add_up_to_one(faults):
    for scores in faults.values():
        for stage in ("update", "answer"):
            assert sum(part(scores, stage).values()) == pytest.approx(1, abs=0.001)


def test_time_tells_the_order_and_a_bag_of_chunks_does_not():
    found = temporal_order.run(turns=400, pairs=40, distances=(1, 10, 100), embedder="none")
    assert set(found["by_distance"]) == {"1", "10", "100"}
    assert found["found"] >= 0.98
    assert all(row["ours"] >= 0.95 for row in found["by_distance"].values())
    assert 0.3 < found["mean"]["bag_of_chunks"] < 0.7
    assert temporal_order.run(turns=400, pairs=40, distances=(1, 10, 100), embedder="none") == found
