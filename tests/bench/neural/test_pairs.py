"""The task of pairs, and what memories do with them without a network around them."""

import pytest
import torch

from mnemos.bench.neural import pair_models, testtime_direct
from mnemos.bench.neural.pair_tables import cell, table
from mnemos.bench.neural.pairs import Pairs
from mnemos.bench.neural.testtime_trained import MEMBERS, TASKS
from mnemos.bench.progress import SILENT
from mnemos.neural.model import Stack
from mnemos.neural.training import UNASKED


def batch(task, count=8, seed=0):
    return task(count, torch.Generator().manual_seed(seed))


def test_every_question_is_answered_by_the_last_pair_with_its_key():
    task = Pairs(6, 3, 8, 5, changed=4)
    inputs, targets = batch(task)
    assert inputs.shape == (8, 6 + 4 + 3 + 6, task.inputs)
    keys, classes = inputs[..., :8], inputs[..., 8:13].argmax(-1)
    for row in range(8):
        for place in range(13, 19):
            told = [t for t in range(10) if torch.allclose(keys[row, t], keys[row, place])]
            assert classes[row, told[-1]] == targets[row, place]
            assert len(told) == 1 or classes[row, told[0]] != targets[row, place]
    assert (targets[:, :13] == UNASKED).all()


def test_outliers_are_loud_and_not_asked_for():
    inputs, targets = batch(Pairs(6, 0, 8, 5, outliers=0.5))
    loud = inputs[:, :6, 8:13].amax(-1) > 10
    assert 0 < loud.float().mean() < 1
    for row in range(8):
        for place in range(6, 12):
            (told,) = [t for t in range(6) if torch.allclose(inputs[row, t, :8], inputs[row, place, :8])]
            assert bool(loud[row, told]) == (int(targets[row, place]) == UNASKED)


def test_outliers_spoil_a_memory_by_the_squared_loss_and_hardly_one_by_huber():
    rows = testtime_direct.outliers(7)
    assert rows["squared loss"]["error, with outliers"] > 5
    assert rows["Huber loss"]["error, with outliers"] < 1.2 * rows["Huber loss"]["error, no outliers"]


def test_products_of_channels_hold_more_pairs_at_equal_state(monkeypatch):
    monkeypatch.setattr(testtime_direct, "DRAWS", 8)
    rows = testtime_direct.capacity(7)
    plain, products = rows["8 channels"], rows["8 channels, products of two"]
    assert products["state"] == plain["state"]
    assert products["pairs"] >= 1.5 * plain["pairs"]


def test_a_window_of_losses_averages_noise():
    from mnemos.neural.testtime.rule import Rule

    alone, window = (min(testtime_direct.noisy(Rule(window=c), step, 7) for step in (0.2, 0.4)) for c in (1, 4))
    assert window < alone


def test_cells_of_tables():
    assert cell("right", {"right": 0.5, "right_sd": 0.01}) == "50.0 ± 1.0 %"
    assert cell("state", {"state": 64.0}) == "64"
    assert cell("right", {}) == "–"
    result = {"parts": {"recall": {"delta-net": {"right": 1.0, "right_sd": 0.0}}}}
    assert table("recall", "layer")(result) == [["layer", "right"], ["delta-net", "100.0 ± 0.0 %"]]


def test_a_rate_is_chosen_on_a_seed_that_is_not_reported(monkeypatch):
    asked = []

    def right(layers, task, steps, rate, seed):
        asked.append((rate, seed))
        return {"right": {0.01: 0.5, 0.02: 0.7}[rate] - seed / 1000, "state": 1, "weights": 1, "seconds": 0.0}

    monkeypatch.setattr(pair_models, "cell", right)
    found = pair_models.rows({"a": ["delta-net"]}, TASKS["equal"], 1, (0.01, 0.02), 2, None, SILENT)
    assert asked == [(0.01, 99), (0.02, 99), (0.02, 0), (0.02, 1)]
    assert found["a"]["rate"] == 0.02
    assert found["a"]["right"] == pytest.approx(0.6995)
    found = pair_models.rows({"a": ["delta-net"]}, TASKS["equal"], 1, (0.01,), 2, None, SILENT)
    assert asked[4:] == [(0.01, 0), (0.01, 1)]
    assert "rate" not in found["a"]


@pytest.mark.parametrize("part", ["equal", "changing"])
def test_layers_hold_as_many_numbers_but_the_window_and_what_has_no_momentum(part):
    length = TASKS[part](1, torch.Generator()).inputs.shape[1]
    for name, layers in MEMBERS[part].items():
        size = Stack(pair_models.WIDTH, layers, 0, 0).state_size(length)
        wanted = {"window": 195, "Titans, no momentum": 480}.get(name, 960)
        assert size == pytest.approx(wanted, rel=0.015), name
