"""Steps that are projected leave what they promise to leave, to the last bits that rounding grants."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch
from mnemos.parametric.consolidate.gradient_projection import GradientProjection, logit_gradients, overlap
from mnemos.parametric.consolidate.ideal import IdealLinear
from mnemos.parametric.consolidate.learner import CannotWork, Learner
from mnemos.parametric.consolidate.projection import Projection
from mnemos.parametric.consolidate.subspaces import SingularSubspaces

pytestmark = pytest.mark.filterwarnings(f"ignore::{CannotWork.__module__}.{CannotWork.__name__}")
IMAGES = glyphs(classes=4, train=30, test=10)
TASKS = split(IMAGES)


def network(*sizes):
    torch.manual_seed(0)
    layers = [part for a, b in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def learned(strategy, sizes=(64, 40, 4), tasks=TASKS, **settings):
    made = Learner(network(*sizes), strategy, **settings)
    for number, task in enumerate(tasks):
        for rows in torch.arange(len(task.train.y)).split(10):
            made.observe(task.train.x[rows], task.train.y[rows], number)
        if number == 0:
            made.end_task()
            before = made.predict(TASKS[0].train.x)
    return made, before


@pytest.mark.parametrize(
    "optimise", [partial(torch.optim.SGD, lr=0.1, momentum=0.9), partial(torch.optim.Adam, lr=1e-2)]
)
def test_a_whole_basis_moves_nothing_that_was_learned_whatever_the_optimiser(optimise):
    """A network of fewer samples than inputs: what earlier samples give is the same after another task."""
    few = [type(task)(type(task.train)(task.train.x[::4], task.train.y[::4]), task.test) for task in TASKS]
    made = Learner(network(64, 40, 4), Projection(energy=1.0), optimise=optimise)
    for _ in range(3):
        made.observe(*few[0].train, 0)
    made.end_task()
    before, weights = made.predict(few[0].train.x), made.model[0].weight.clone()
    for _ in range(5):
        made.observe(*few[1].train, 1)
    assert not torch.equal(made.model[0].weight, weights)
    torch.testing.assert_close(made.predict(few[0].train.x), before, atol=2e-5, rtol=0)


def test_the_recursive_projector_is_the_closed_form_whether_it_comes_at_once_or_in_parts():
    x = torch.randn(30, 12)
    rule = Projection("recursive", damping=0.5)
    whole = rule._extended(None, x, torch.Generator())
    scaled = (x / x.square().sum(1).mean().sqrt()).double()
    torch.testing.assert_close(
        whole.double(), torch.linalg.inv(torch.eye(12) + scaled.T @ scaled / 0.5), atol=1e-5, rtol=0
    )
    same_scale = x.split(10)
    scales = [p.square().sum(1).mean().sqrt() for p in same_scale]
    parts = None
    for part in same_scale:
        parts = rule._extended(parts, part, torch.Generator())
    joint = torch.cat([p / s for p, s in zip(same_scale, scales, strict=True)])
    torch.testing.assert_close(parts, torch.linalg.inv(torch.eye(12) + joint.T @ joint / 0.5), atol=1e-5, rtol=0)


def test_the_hebbian_subspace_is_that_of_the_decomposition():
    torch.manual_seed(0)
    x = torch.randn(300, 5) @ torch.randn(5, 20) + 0.01 * torch.randn(300, 20)
    h = Projection("hebbian", directions=5, passes=40)._extended(None, x, torch.Generator().manual_seed(0))
    v = torch.linalg.svd(x, full_matrices=False)[2][:5]
    assert float(torch.linalg.svdvals(torch.linalg.qr(h.T)[0].T @ v.T).min()) > 0.999
    torch.testing.assert_close(h @ h.T, torch.eye(5), atol=0.05, rtol=0)


def test_energy_says_how_many_directions_are_held():
    x = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.1]))
    assert len(Projection(energy=0.9)._extended(None, x, torch.Generator())) == 2
    held = Projection(energy=0.9)._extended(None, x[:2], torch.Generator())
    assert len(Projection(energy=0.9)._extended(held, x[:2], torch.Generator())) == 2  # nothing new


def test_a_gradient_that_is_projected_is_orthogonal_to_all_that_is_held():
    made, _ = learned(GradientProjection(directions=5, samples=20))
    held = made.strategies[0].held
    torch.testing.assert_close(held @ held.T, torch.eye(len(held)), atol=1e-5, rtol=0)
    gradient = torch.cat([w.grad.flatten() for w in made.weights().values()])
    assert float((held @ gradient).norm()) < 1e-5 * float(gradient.norm())


def test_the_gradients_of_logits_are_those_of_autograd_and_raw_directions_span_them():
    made = Learner(network(64, 8, 4), GradientProjection("samples", 4, 10))
    made.observe(*TASKS[0].train, 0)
    held = made.recent.held
    rows = logit_gradients(made, Batch(*held))
    bias = made.model(held[0]).gather(1, held[1][:, None]).sum()
    torch.testing.assert_close(rows.sum(0)[-4:], torch.autograd.grad(bias, made.model[2].bias)[0])
    made.end_task()
    basis = made.strategies[0].held
    torch.testing.assert_close(rows[:4] @ basis.T @ basis, rows[:4], atol=1e-4, rtol=1e-3)


def test_the_overlap_of_equal_spaces_is_one_and_of_orthogonal_ones_nothing():
    eye = torch.eye(6)
    torch.testing.assert_close(overlap(eye[:2], eye[:2] @ torch.eye(6) * 3), torch.ones(2))
    assert float(overlap(eye[:3], eye[3:]).max()) < 1e-6
    angle = torch.stack([eye[0] * 0.6 + eye[3] * 0.8])
    torch.testing.assert_close(overlap(eye[:1], angle), torch.tensor([0.6]))
    with pytest.raises(InvalidInput, match="at least one row"):
        overlap(eye[:0], eye)


@pytest.mark.parametrize(
    "optimise", [partial(torch.optim.SGD, lr=0.1, momentum=0.9), partial(torch.optim.Adam, lr=1e-2)]
)
def test_what_is_learned_stays_out_of_the_frozen_directions(optimise):
    made = Learner(network(64, 20, 20, 4), SingularSubspaces(), optimise=optimise)
    for _ in range(3):
        made.observe(*TASKS[0].train, 0)
    made.end_task()
    before = {name: w.detach().clone() for name, w in made.weights().items()}
    for _ in range(5):
        made.observe(*TASKS[1].train, 1)
    for name, (u, v) in made.strategies[0].held.items():
        change = made.model.get_submodule(name).weight.detach() - before[f"{name}.weight"]
        assert float(change.norm()) > 1e-3
        assert float((u.T @ change).norm()) < 1e-5
        assert float((change @ v).norm()) < 1e-5
        torch.testing.assert_close(u.T @ u, torch.eye(u.shape[1]), atol=1e-5, rtol=0)
    square = made.strategies[0].importance
    assert list(square) == ["2"]
    assert made.strategies[0].held["2"][0].shape[1] == round(0.8 * 20)  # the mean importance of one layer is its own


def test_nothing_kept_is_plain_learning():
    plain, _ = learned((), (64, 8, 4))
    free, _ = learned(SingularSubspaces(0.0, 0.0), (64, 8, 4))
    torch.testing.assert_close(free.model[0].weight, plain.model[0].weight, atol=1e-6, rtol=0)


def test_the_ideal_learner_forgets_nothing_and_its_room_shrinks_by_the_rank_of_each_task():
    torch.manual_seed(0)
    truth, ideal, seen = torch.randn(40, 3, dtype=torch.float64), IdealLinear(40, 3), []
    for rank in (5, 10, 8, 1):
        x = torch.randn(12, rank, dtype=torch.float64) @ torch.randn(rank, 40, dtype=torch.float64)
        free = ideal.free
        ideal.solve(x, x @ truth)
        assert ideal.free == free - rank
        seen.append(x)
        assert max(float((ideal.answer(old) - old @ truth).square().mean()) for old in seen) < 1e-16
    joint = torch.linalg.pinv(torch.cat(seen)) @ torch.cat(seen) @ truth
    torch.testing.assert_close(ideal.weights, joint)  # the least of all maps that fit all tasks, in whatever order
    plain = torch.zeros_like(truth)
    for x in seen:  # what gradient descent on each task alone comes to
        plain += torch.linalg.pinv(x) @ (x @ (truth - plain))
    assert float((seen[0] @ (plain - truth)).square().mean()) > 0.01


def test_the_ideal_learner_without_room_stands_still():
    ideal = IdealLinear(4, 1)
    ideal.solve(torch.randn(6, 4), torch.randn(6, 1))
    before = ideal.weights.clone()
    ideal.solve(torch.randn(3, 4), torch.randn(3, 1))
    assert torch.equal(ideal.weights, before)
    assert ideal.free == 0
    with pytest.raises(InvalidInput, match="for a map of"):
        ideal.solve(torch.randn(3, 5), torch.randn(3, 1))
