"""Weights that are held or averaged, samples chosen by gradients, shapes and orders that are chosen."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.base import Batch
from mnemos.parametric.consolidate.diverse_replay import DiverseReplay, last_gradients
from mnemos.parametric.consolidate.key_weights import KeyWeights
from mnemos.parametric.consolidate.learner import CannotWork, Learner
from mnemos.parametric.consolidate.shape_search import search
from mnemos.parametric.consolidate.task_order import best_order, expected_errors, expected_forgetting

pytestmark = pytest.mark.filterwarnings(f"ignore::{CannotWork.__module__}.{CannotWork.__name__}")
TASKS = split(glyphs(classes=4, train=20, test=10))
GENTLE = partial(torch.optim.SGD, lr=0.05)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))


def test_what_moved_most_is_marked_and_held_and_marks_are_joined():
    made = Learner(network(), KeyWeights(strength=1e3, share=0.1), optimise=partial(torch.optim.SGD, lr=1e-3))
    begin = made.model[0].weight.detach().clone()
    made.observe(*TASKS[0].train, 0)
    made.end_task()
    moved = (made.model[0].weight.detach() - begin).abs()
    (first, marks) = made.strategies[0].anchors[0]
    mark = marks["0.weight"].bool()
    assert int(mark.sum()) == round(0.1 * 64 * 16)
    assert float(moved[mark].min()) >= float(moved[~mark].max())
    for _ in range(20):
        made.observe(*TASKS[1].train, 1)
    after = (made.model[0].weight.detach() - first["0.weight"]).abs()
    assert float(after[mark].max()) < 0.1 * float(after[~mark].max())
    made.end_task()
    joined = made.strategies[0].anchors[0][1]["0.weight"]
    assert set(joined.unique().tolist()) == {0.0, 1.0}
    assert bool(joined.bool()[mark].all())
    assert int(joined.sum()) > int(mark.sum())


def test_the_pace_of_a_slow_copy_is_that_of_the_released_code():
    slow, other = SlowCopy(dynamic=True), torch.randn(3, 3)
    slow.gradients["w"] = other
    apart, gradient = 10 * torch.randn(3, 3), torch.randn(3, 3)
    share = 2 * (1 + gradient.abs().sum()) / (apart.abs().sum() * (gradient - other).abs().sum())
    assert slow._share("w", apart, gradient) == pytest.approx(float(share) if share < 1 else 0.01, rel=1e-5)
    assert torch.equal(slow.gradients["w"], gradient)
    assert slow._share("w", apart * 1e-6, -gradient) == 0.01  # above 1
    assert SlowCopy()._share("w", apart, gradient) is None


def test_the_gradients_that_samples_are_chosen_by_are_those_of_the_last_layer():
    made = Learner(network(), optimise=GENTLE)
    batch = Batch(TASKS[0].train.x[:3], TASKS[0].train.y[:3], torch.zeros(3))
    for row, found in enumerate(last_gradients(made, batch).detach()):
        cost = nn.functional.cross_entropy(made.model(batch.x[row : row + 1]), batch.y[row : row + 1])
        expected = torch.autograd.grad(cost, made.model[2].weight)[0].flatten()
        torch.testing.assert_close(found, expected / expected.norm(), atol=1e-5, rtol=0)


def test_a_buffer_of_unlike_gradients_keeps_the_rare_class():
    made = Learner(network(), DiverseReplay(10, 5), optimise=GENTLE)
    x, y = TASKS[0].train
    rare = torch.cat([(y == 0).nonzero().flatten()[:3], (y == 1).nonzero().flatten().repeat(10)])
    for rows in rare[torch.randperm(len(rare), generator=torch.Generator().manual_seed(0))].split(5):
        made.observe(x[rows], y[rows])
    held = made.strategies[0].buffer.held[1]
    assert len(held) == 10
    assert len(made.strategies[0].scores) == 10
    assert int((held == 0).sum()) >= 1  # 3 of 203 samples: one of ten at random is expected to be .15


def test_the_search_finds_the_best_of_the_shapes_that_fit():
    seen = []

    def score(shape):
        seen.append(shape)
        return -abs(sum(shape) - 20)

    best = search(score, lambda shape: 10 * sum(shape), 250, tries=1000, widths=(4, 8, 12, 16))
    assert sum(best) == 20
    assert len(seen) == len(set(seen))
    assert all(sum(s) <= 25 and list(s) == sorted(s, reverse=True) for s in seen)
    with pytest.raises(InvalidInput, match="raise the limit"):
        search(score, lambda shape: 10 * sum(shape), 30)


def test_the_closed_form_of_forgetting_is_what_regressions_do():
    generator, features, samples, noise = torch.Generator().manual_seed(0), 60, 20, 0.5
    truths = torch.randn(4, features, generator=generator, dtype=torch.float64) / 4
    truths[1] = truths[0] + 0.1
    sums = torch.zeros(4, 4, dtype=torch.float64)
    for _ in range(300):
        w = torch.zeros(features, dtype=torch.float64)
        for t, truth in enumerate(truths):
            x = torch.randn(samples, features, generator=generator, dtype=torch.float64)
            y = x @ truth + noise * torch.randn(samples, generator=generator, dtype=torch.float64)
            w = w + x.T @ torch.linalg.solve(x @ x.T, y - x @ w)
            sums[t] += (w - truths).square().sum(1) / 300
    expected = expected_errors(truths, features, samples, noise)
    torch.testing.assert_close(sums, expected, rtol=0.05, atol=0)
    measured = float((sums[-1] - sums.diagonal())[:-1].mean())
    assert measured == pytest.approx(expected_forgetting(truths, features, samples, noise), rel=0.1, abs=0.05)


def test_what_is_unlike_the_others_is_learned_early():
    truths = torch.ones(4, 10)
    truths[2] = -1
    assert best_order(truths, 100, 40).index(2) <= 1
    worst = best_order(truths, 100, 40, worst=True)
    assert worst[-1] == 2
    assert expected_forgetting(truths[worst], 100, 40) > expected_forgetting(
        truths[best_order(truths, 100, 40)], 100, 40
    )
    with pytest.raises(InvalidInput, match="from 2 to 8"):
        best_order(torch.ones(9, 2), 100, 40)
