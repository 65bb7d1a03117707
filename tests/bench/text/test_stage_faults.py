"""Faults injected into one stage show in its score and in the answers, and nowhere else."""

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import stage_faults


@pytest.fixture(scope="module")
def faults():
    return stage_faults.run(stage_faults.Options(people=3, planted=30), SILENT)["faults"]


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


def test_every_fault_moves_the_own_score_of_its_stage_only_and_the_stages_predict_the_answers(faults):
    for fault, stage in stage_faults.STAGE_OF.items():
        for other, name in stage_faults.OWN.items():
            moved = faults["none"][name] - faults[fault][name]
            assert moved > 0.05 if other == stage else abs(moved) < 0.05, (fault, other, moved)
        assert faults[fault]["answer_predicted"] == pytest.approx(faults[fault]["answer_correct"], abs=0.15)


def test_the_scores_of_a_stage_add_up_to_one(faults):
    for scores in faults.values():
        for stage in ("update", "answer"):
            shares = {
                k: v for k, v in part(scores, stage).items() if k not in ("answer_given_state", "answer_predicted")
            }
            assert sum(shares.values()) == pytest.approx(1, abs=0.001)
