"""Tasks in sequence on the tiny decoder: what the account counts, and the two ends of what can be kept."""

import copy

import pytest
import torch

from mnemos.bench.parametric import tiny, trace
from mnemos.bench.parametric.metered import Metered
from mnemos.bench.parametric.trace import Options
from mnemos.bench.progress import SILENT


@pytest.fixture(scope="module")
def result():
    methods = ("sequence", "reasons", "replay", "datastore", "joint", "documents")
    return trace.run(Options(tasks=2, facts=4, epochs=12, rate=2e-3, seeds=1, methods=methods), SILENT)


def test_a_datastore_forgets_nothing_changes_nothing_and_costs_next_to_nothing(result):
    row = result["methods"]["datastore"]
    assert row["performance"] == 1
    assert row["transfer"] == 0
    assert (row["heart"], row["reading"]) == (result["before"]["heart"], result["before"]["reading"])
    assert row["compute"] < 0.05
    assert row["nbytes"] == 8 * (96 * 4 + 8)


def test_compute_is_against_one_joint_training(result):
    methods = result["methods"]
    assert methods["joint"]["compute"] == methods["sequence"]["compute"] == 1
    assert methods["replay"]["compute"] > 1.2
    assert methods["reasons"]["compute"] == 0.5 * (2 + 5) / 2
    assert methods["joint"]["performance"] > methods["sequence"]["performance"] - 0.01


def test_documents_of_the_kind_that_was_learned_take_nothing_away(result):
    row = result["methods"]["documents"]
    assert row["performance"] > result["methods"]["sequence"]["performance"] + 0.2
    assert row["heart"] > result["methods"]["sequence"]["heart"]


def test_a_backward_pass_counts_two_forward_ones_and_answers_nothing():
    model, x = Metered(tiny.load()[0]), torch.tensor([[0, 3], [0, 4]])
    model(x)
    assert model.meter.compute == 3 * 4
    with torch.no_grad():
        model(x)
        assert model.meter.compute == 3 * 4
        copy.deepcopy(model).requires_grad_(False)(x)
    assert model.meter.compute == 3 * 4 + 4


def test_a_reason_is_the_sentence_that_answers_the_question():
    x, y = torch.tensor([[0, 3], [0, 4]]), torch.tensor([300, 301])
    assert trace.reasoned(x, y).tolist() == [[0, 3, 300, 2, 3], [0, 4, 301, 2, 4]]


def test_tasks_are_of_names_that_the_model_does_not_know():
    tasks = trace.drawn(Options(), 0)
    names = [tiny.WORDS[name] for task in tasks for name in task.x[:, 1].tolist()]
    assert [len(task.y) for task in tasks] == [12] * 8
    assert len(set(names)) == 96
    assert not set(names) & set(tiny.KNOWN)
