"""Heads over embeddings: exact deletion against heads that never saw the items, and sparse writes of a bottleneck."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.errors import InvalidInput, NotFound
from mnemos.parametric.recall.bottleneck import DiscreteKeyValueBottleneck
from mnemos.parametric.recall.neighbours import NeighboursHead
from mnemos.parametric.recall.prototypes import PrototypesHead
from mnemos.parametric.recall.random_features import RandomFeaturesHead
from mnemos.parametric.recall.ridge import RidgeHead
from mnemos.registry import all_entries


def items(count, width=6, classes=3, seed=0):
    made = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(count, width, generator=made), dim=-1)
    return x, torch.randint(classes, (count,), generator=made)


@pytest.mark.parametrize("entry", all_entries("parametric", kind="head"), ids=lambda entry: entry.name)
def test_a_head_learns_item_after_item(entry):
    x, y = items(90, 8)
    y = x[:, :3].argmax(-1)
    head = entry.target(8, 3, **({"features": 100} if entry.target is RandomFeaturesHead else {}))
    if isinstance(head, DiscreteKeyValueBottleneck):
        head.fit_keys(x)
    for start in range(0, 90, 10):
        head.learn(x[start : start + 10], y[start : start + 10])
    assert (head.scores(x).argmax(-1) == y).double().mean() > 0.8
    assert head.nbytes == sum(t.numel() * t.element_size() for t in head.tensors().values())


def test_the_weights_are_those_of_the_closed_form():
    x, y = items(40)
    head = RidgeHead(6, 3, penalty=0.5)
    head.learn(x, y)
    ones = torch.cat([x.double(), torch.ones(40, 1)], 1)
    ridge = torch.diag(torch.tensor([0.5] * 6 + [1e-6], dtype=torch.float64))
    expected = torch.linalg.solve(ones.T @ ones + ridge, ones.T @ torch.nn.functional.one_hot(y, 3).double())
    torch.testing.assert_close(head.weights, expected, rtol=1e-2, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_forgotten_was_never_there_to_the_last_bit(data):
    x, y = items(12, seed=data.draw(st.integers(0, 99)))
    order = data.draw(st.permutations(range(12)))
    gone = order[: data.draw(st.integers(0, 12))]
    head = RidgeHead(6, 3)
    for i in order:
        head.learn(x[[i]], y[[i]])
    for i in data.draw(st.permutations(gone)):
        head.forget(x[[i]], y[[i]])
    left = [i for i in range(12) if i not in gone]
    never = RidgeHead(6, 3)
    never.learn(x[left], y[left])
    assert len(head) == len(never) == len(left)
    assert torch.equal(head.weights, never.weights)


def test_thousands_of_items_come_and_go_without_a_trace():
    x, y = items(2000, 8)
    head = RidgeHead(8, 3, bound=0.999)  # no power of two
    x = x.clamp(-0.999, 0.999)
    head.learn(x[:100], y[:100])
    before = head.weights.clone()
    for size in (50, 1):
        for start in range(100, 2000, 50):
            head.learn(x[start : start + 50], y[start : start + 50])
        for i in range(100, 2000, size):
            head.forget(x[i : i + size], y[i : i + size])
    assert torch.equal(head.weights, before)


@pytest.mark.parametrize("change", ["feature", "label", "twice"])
def test_what_was_never_learned_cannot_be_forgotten(change):
    x, y = items(5)
    head = RidgeHead(6, 3)
    head.learn(x, y)
    before = head.weights.clone()
    wrong, label = x[:2].clone(), y[:2].clone()
    if change == "feature":
        wrong[1, 0] += 0.01
    elif change == "label":
        label[1] = (label[1] + 1) % 3
    else:
        wrong, label = x[[0, 0]], y[[0, 0]]
    with pytest.raises(NotFound, match="nothing was changed"):
        head.forget(wrong, label)
    assert len(head) == 5
    assert torch.equal(head.weights, before)


def test_a_stored_head_forgets_as_the_one_that_was_stored():
    x, y = items(9)
    head = RidgeHead(6, 3)
    head.learn(x, y)
    again = RidgeHead.load(head.tensors())
    for each in (head, again):
        each.forget(x[:4], y[:4])
    assert torch.equal(again.weights, head.weights)
    with pytest.raises(NotFound):
        again.forget(x[:1], y[:1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1.5])
def test_features_that_cannot_be_summed_exactly_are_refused(bad):
    x, y = items(2)
    x[1, 1] = bad
    head = RidgeHead(6, 3)
    with pytest.raises(InvalidInput, match="bound"):
        head.learn(x, y)
    assert len(head) == 0


def test_an_example_writes_one_value_of_each_head_and_keys_stay():
    x, y = items(200, 8)
    head = DiscreteKeyValueBottleneck(8, 3, heads=10, keys=32)
    with pytest.raises(InvalidInput, match="fit_keys"):
        head.learn(x, y)
    head.fit_keys(x)
    keys, values = head.keys.clone(), head.values.clone()
    head.learn(x[:1], y[:1])
    assert torch.equal(head.keys, keys)
    written = (head.values != values).any(-1)
    assert written.sum(-1).tolist() == [1] * 10
    assert torch.equal(written.nonzero()[:, 1], head.look_up(x[:1])[0])


def test_the_values_move_by_the_gradient_of_cross_entropy():
    x, y = items(64, 8)
    head = DiscreteKeyValueBottleneck(8, 3, heads=4, keys=8, rate=0.1)
    head.fit_keys(x)
    for _ in range(3):
        head.learn(x, y)
    values = head.values.clone().requires_grad_()
    chosen = head.look_up(x)
    logits = values[torch.arange(4).expand_as(chosen), chosen].mean(1)
    torch.nn.functional.cross_entropy(logits, y, reduction="sum").backward()
    before = head.values.clone()
    head.learn(x, y)
    torch.testing.assert_close(head.values - before, -0.1 * 4 * values.grad, atol=1e-6, rtol=1e-4)


def test_random_features_do_not_depend_on_the_batch_nor_the_order_and_forget_exactly():
    x, y = items(60, 20)
    head, other = RandomFeaturesHead(20, 3, 50), RandomFeaturesHead(20, 3, 50)
    head.learn(x, y)
    for i in torch.randperm(60).tolist():
        other.learn(x[[i]], y[[i]])
    assert torch.equal(head.readout.weights, other.readout.weights)
    head.forget(x[:20], y[:20])
    never = RandomFeaturesHead(20, 3, 50)
    never.learn(x[20:], y[20:])
    assert torch.equal(head.scores(x), never.scores(x))
    assert torch.equal(RandomFeaturesHead.load(head.tensors()).scores(x), head.scores(x))


def test_random_features_tell_what_no_line_tells():
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] * x[:, 1] > 0).long()
    linear, head = RidgeHead(2, 2, bound=10), RandomFeaturesHead(2, 2, 100)
    linear.learn(x, y), head.learn(x, y)
    assert (linear.scores(x).argmax(-1) == y).double().mean() < 0.7
    assert (head.scores(x).argmax(-1) == y).double().mean() > 0.95


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_a_stored_item_is_answered_with_its_label_whatever_came_after(index):
    if index == "hnsw":
        pytest.importorskip("usearch")
    x, y = items(300, 8)
    head = NeighboursHead(8, 3, index=index)
    for start in range(0, 300, 50):
        head.learn(x[start : start + 50], y[start : start + 50])
        right = head.scores(x[: start + 50]).argmax(-1) == y[: start + 50]
        assert right.all() if index == "exact" else right.double().mean() > 0.98


def test_votes_are_those_of_the_nearest_by_brute_force():
    x, y = items(40, 8)
    head = NeighboursHead(8, 3, k=5, temperature=0.1)
    head.learn(x[:30], y[:30])
    near = (x[30:] @ x[:30].T).sort(descending=True)
    weights = (near.values[:, :5] / 0.1).softmax(-1)
    expected = torch.stack([(weights * (y[near.indices[:, :5]] == c)).sum(1) for c in range(3)], 1)
    torch.testing.assert_close(head.scores(x[30:]), expected)


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal", "full"])
def test_the_posterior_of_a_class_does_not_depend_on_the_order(covariance):
    x, y = items(50)
    head, other = PrototypesHead(6, 3, covariance), PrototypesHead(6, 3, covariance)
    head.learn(x, y)
    for i in reversed(range(50)):
        other.learn(x[[i]], y[[i]])
    torch.testing.assert_close(head.scores(x), other.scores(x))
    means, variance = head.posterior()
    noise = head.noise().diagonal().mean() if covariance == "full" else head.noise().mean()
    count = (y == 1).sum()
    torch.testing.assert_close(variance[1], 1 / (count / noise + 1 / head.prior))  # of a Gaussian mean, by the textbook
    torch.testing.assert_close(means[1], variance[1] / noise * x[y == 1].double().sum(0))


def test_exact_sequential_inference_under_a_wrong_model_loses_to_a_mixture_of_tasks():
    # two tasks of one line each, y = 2x and y = -2x; Bayesian linear regression passes its posterior on exactly
    x = torch.randn(200, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slopes = torch.tensor([2.0, -2.0]).repeat_interleave(100)[:, None]
    y = slopes * x
    precision, moment = torch.zeros(3), torch.zeros(3)  # of both tasks in turn, and of each alone
    for number, rows in enumerate((slice(0, 100), slice(100, 200))):
        for of in (0, 1 + number):
            precision[of] += x[rows].square().sum()
            moment[of] += (x[rows] * y[rows]).sum()
    sequential, first, second = (moment / (precision + 1)).tolist()
    assert abs(sequential) < 0.5  # forgotten, though nothing was approximated
    mixture = torch.stack([(y - x * slope).square() for slope in (first, second)]).min(0).values.mean()
    assert (y - x * sequential).square().mean() > 100 * mixture
