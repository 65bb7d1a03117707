"""Classifiers that take the place of a model's own, and activations and penalties of features: exact properties of each."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import NO_TASK, Batch, Step
from mnemos.parametric.consolidate.center_loss import CenterLoss
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.elephant import Elephant, spread
from mnemos.parametric.consolidate.energy_head import EnergyHead
from mnemos.parametric.consolidate.feature_distillation import FeatureDistillation
from mnemos.parametric.consolidate.fixed_targets import FixedTargets
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.local_similarity import LocalSimilarityHead, Similarities
from mnemos.parametric.consolidate.relation_distillation import RelationDistillation, contrast
from mnemos.parametric.consolidate.replay import Replay

TASKS = split(glyphs(classes=4, train=20, test=10))
GENTLE = partial(torch.optim.SGD, lr=0.05)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))


def learned(strategies, tasks=TASKS, **settings):
    made = Learner(network(), strategies, optimise=GENTLE, **settings)
    for number, task in enumerate(tasks):
        for rows in torch.arange(len(task.train.y)).view(2, -1).T.flatten().split(10):  # both classes in each batch
            made.observe(task.train.x[rows], task.train.y[rows], number)
    return made


def step_of(made, task=1, rows=slice(0, 10)):
    x, y = TASKS[task].train
    return Step(made, Batch(x[rows], y[rows], torch.full((10,), task)))


def cost(made, step):
    return float(made.strategies[0].loss(made, step).detach())


def test_absent_labels_get_no_gradient_of_their_own_in_the_batch_alone():
    """Energies of labels that are not in the batch are not pushed up: their gates stay as they were drawn, to the bit."""
    made = learned(EnergyHead(), TASKS[:1], rivals="batch")
    fresh = EnergyHead().head(16, 4, torch.Generator().manual_seed(0)).gates
    assert torch.equal(made.classifier.gates[2:], fresh[2:])
    assert not torch.equal(made.classifier.gates[:2], fresh[:2])
    every = learned(EnergyHead(), TASKS[:1])
    assert not torch.equal(every.classifier.gates[2:], fresh[2:])


def test_an_energy_is_that_of_its_label_alone():
    head = EnergyHead(units=5).head(6, 3, torch.Generator().manual_seed(0))
    h = torch.randn(7, 6)
    said = head(h)
    for c in range(3):
        torch.testing.assert_close(said[:, [c]], head.summed(torch.relu(head.mixed(h * head.gates[c]))))


def test_targets_do_not_move_and_logits_are_their_cosines():
    vectors = torch.randn(4, 5)
    made = learned(FixedTargets(vectors, scale=3.0, centred=False))
    assert torch.equal(made.classifier.vectors, F.normalize(vectors, dim=-1))
    assert not any("vectors" in name for name in made.weights())
    x = TASKS[0].test.x
    _, features = made.read(x)
    expected = 3 * F.cosine_similarity(features[:, None], vectors[None], dim=-1)
    long = features.norm(dim=-1) >= 1
    torch.testing.assert_close(made.predict(x)[long], expected[long].detach())
    with pytest.raises(InvalidInput, match="5 vectors for 4 classes"):
        learned(FixedTargets(torch.randn(5, 5)))


def test_points_of_a_class_are_mixed_by_nearness_and_one_point_is_a_cosine():
    points = torch.randn(3, 1, 6)
    h = 5 * torch.randn(8, 6)
    single = Similarities(points, 0.0, 2.0)
    torch.testing.assert_close(single(h), 2 * F.cosine_similarity(h[:, None], points[None, :, 0], dim=-1))
    y, logits = torch.tensor([0, 2]), torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 1.0]])
    margin = Similarities(points, 0.5, 2.0)
    expected = torch.stack(
        [
            (torch.tensor([0.0, 0.0]).logsumexp(0) - (2 - 1)).clamp(min=0),
            torch.tensor([0.0, 3.0]).logsumexp(0) - (1 - 1),
        ]
    )
    torch.testing.assert_close(margin.cost(logits, y), expected.mean())
    assert learned(LocalSimilarityHead()).criterion.__func__ is Similarities.cost


def test_a_head_needs_a_linear_layer_to_replace():
    made = Learner(nn.Conv1d(1, 1, 1), EnergyHead(), criterion=F.mse_loss)
    with pytest.raises(InvalidInput, match=r"nn\.Linear"):
        made.observe(torch.zeros(2, 1, 4), torch.zeros(2, 1, 4), 0)


def test_features_by_value_direction_and_map():
    by_value, by_direction, by_map = (
        learned(FeatureDistillation(2.0, keep), TASKS[:1]) for keep in ("values", "directions", "map")
    )
    for made, loss in ((by_value, 0.0), (by_direction, 0.0), (by_map, 0.0)):
        made.begin_task(1)
        step = step_of(made)
        assert cost(made, step) == pytest.approx(loss, abs=1e-6)  # nothing has moved
        with torch.no_grad():
            made.model[0].weight *= 2
            made.model[0].bias *= 2
    h = by_value.read(TASKS[1].train.x[:10], by_value.previous)[1]
    assert cost(by_value, step_of(by_value)) == pytest.approx(2 * float(h.square().sum(1).mean()), rel=1e-4)
    assert cost(by_direction, step_of(by_direction)) == pytest.approx(0, abs=1e-5)
    by_map.strategies[0].a = (torch.eye(16) / 2).requires_grad_()
    assert cost(by_map, step_of(by_map)) == pytest.approx(0, abs=1e-5)


def test_held_samples_are_those_that_a_strategy_before_added():
    made = learned((Replay(10, 5), FeatureDistillation(of="held"), Distillation(of="held")))
    step = step_of(made)
    made.strategies[0].loss(made, step)
    assert len(step.batches) == 2
    x = step.batches[1].x
    expected = (made.read(x)[1] - made.read(x, made.previous)[1]).square().sum(-1).mean()
    torch.testing.assert_close(made.strategies[1].loss(made, step), expected)
    assert made.strategies[1].loss(made, step_of(made)) is None  # nothing was replayed
    assert made.strategies[2].loss(made, step_of(made)) is None


def test_centres_are_fixed_after_the_first_task_and_the_classifier_with_them():
    made = learned(CenterLoss(0.1), TASKS[:1], scenario="domain")
    made.end_task()
    centres, rows = made.strategies[0].centres.clone(), made.classifier.weight.detach().clone()
    assert made.strategies[0].fixed == [0, 1]
    made.observe(*TASKS[0].train, 1)
    made.observe(TASKS[1].train.x, TASKS[1].train.y, 2)
    assert torch.equal(made.strategies[0].centres[:2], centres[:2])
    assert torch.equal(made.classifier.weight[:2], rows[:2])
    assert not torch.equal(made.classifier.weight[2:], rows[2:])
    made = Learner(network(), CenterLoss(0.1, rate=1.0), optimise=GENTLE)
    step = step_of(made, 0)
    loss, h = made.strategies[0].loss(made, step), step.features()
    y = step.batch.y
    h = h.detach()
    expected = sum(float((h[y == c] - h[y == c].mean(0)).square().sum()) for c in (0, 1)) / 10 * 0.1 / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_relations_cost_nothing_while_nothing_moves_and_are_blind_to_what_shifts_all_samples_alike():
    made = learned(RelationDistillation(strength=1.0), TASKS[:1])
    made.begin_task(1)
    base = cost(made, step_of(made))
    made.strategies[0].strength = 5.0
    assert cost(made, step_of(made)) == pytest.approx(base, abs=1e-5)
    with torch.no_grad():
        made.model[0].weight += 0.3 * torch.randn_like(made.model[0].weight)
    assert cost(made, step_of(made)) > base + 1e-3


def test_the_contrast_is_the_sum_over_pairs():
    z, y = F.normalize(torch.randn(6, 4), dim=-1), torch.tensor([0, 1, 0, 1, 0, 2])
    total = []
    for i in range(5):
        others = [j for j in range(6) if j != i]
        below = torch.stack([z[i] @ z[j] / 0.5 for j in others]).logsumexp(0)
        total.append(-torch.stack([z[i] @ z[j] / 0.5 - below for j in others if y[j] == y[i]]).mean())
    torch.testing.assert_close(contrast(z, y, 0.5), torch.stack(total).mean())
    assert float(contrast(z[:2], y[:2], 0.5)) == 0


def test_prototypes_are_what_is_answered_and_unseen_classes_are_not():
    made = learned(RelationDistillation(), TASKS[:1])
    x = TASKS[0].test.x
    z = F.normalize(made.read(x)[1].detach(), dim=-1)
    expected = z @ F.normalize(made.strategies[0].prototypes.detach(), dim=-1).T / 0.1
    torch.testing.assert_close(made.predict(x)[:, :2], expected[:, :2])
    assert set(made.predict(x, NO_TASK).argmax(-1).tolist()) <= {0, 1}


def test_the_elephant_is_one_within_its_band_flat_outside_and_its_biases_are_spaced():
    act = Elephant(width=0.5, power=4)
    x = torch.tensor([0.0, 0.5, -0.5, 50.0, -50.0], requires_grad=True)
    said = act(x)
    torch.testing.assert_close(said[:3].detach(), torch.tensor([1.0, 0.5, 0.5]))
    assert float(said.detach()[3:].max()) < 1e-7
    said.sum().backward()
    assert float(x.grad[3:].abs().max()) < 1e-8
    layer = spread(nn.Linear(3, 1001), 2.0)
    assert float(layer.bias.detach().std()) == pytest.approx(2.0, rel=5e-3)
    with pytest.raises(InvalidInput, match="no biases"):
        spread(nn.Linear(3, 4, bias=False))


def test_old_prototypes_go_on_ranking_samples_as_they_did():
    """The rank correlation of what old prototypes say of samples before and after another task, with and without the term."""
    x, found = TASKS[0].test.x, {}
    for strength in (0.0, 10.0):
        made = learned(RelationDistillation(strength), TASKS[:1])
        before = made.predict(x)[:, :2].argsort(0).argsort(0).float()
        for _ in range(30):
            made.observe(*TASKS[1].train, 1)
        after = made.predict(x)[:, :2].argsort(0).argsort(0).float()
        found[strength] = float(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1])
    assert found[10.0] > max(0.8, found[0.0] + 0.05)
