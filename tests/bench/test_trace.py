"""Tasks in sequence on the tiny decoder: what the account counts, and the two ends of what can be kept."""

import pytest

from mnemos.bench.parametric import tiny, trace
from mnemos.bench.parametric.trace import Learner, Options
from mnemos.bench.progress import SILENT


@pytest.fixture(scope="module")
def result():
    options = Options(
        tasks=2, facts=4, epochs=12, rate=2e-3, seeds=1, methods=("sequence", "replay", "datastore", "joint")
    )
    return trace.run(options, SILENT)


def test_a_datastore_forgets_nothing_changes_nothing_and_costs_next_to_nothing(result):
    row = result["methods"]["datastore"]
    assert row["performance"][0] == 1
    assert row["transfer"][0] == 0
    assert (row["heart"][0], row["reading"][0]) == (result["before"]["heart"], result["before"]["reading"])
    assert row["compute"][0] < 0.05
    assert row["nbytes"][0] == 8 * (96 * 4 + 8)


def test_compute_is_against_one_joint_training(result):
    methods = result["methods"]
    assert methods["joint"]["compute"][0] == methods["sequence"]["compute"][0] == 1
    assert methods["replay"]["compute"][0] > 1.2
    assert methods["joint"]["performance"][0] > methods["sequence"]["performance"][0] - 0.01


def test_a_backward_pass_counts_two_forward_ones():
    learner = Learner(tiny.load()[0].requires_grad_(True))
    trace.cost(learner, [(3, 300), (4, 301)])
    assert learner.compute == 3 * 8
    trace.divergence(learner, learner.model, [(3, 300)])
    assert learner.compute == 3 * 8 + (2 + 2) * 4


def test_tasks_are_of_names_that_the_model_does_not_know():
    tasks = trace.drawn(Options(), 0)
    names = [tiny.WORDS[name] for task in tasks for name, _ in task]
    assert [len(task) for task in tasks] == [12] * 8
    assert len(set(names)) == 96
    assert not set(names) & set(tiny.KNOWN)
