"""A kernel classifier over generated samples: its regression, its kernels, and what is generated and stored."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.generative_kernel import Autoencoder, GenerativeKernel
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.saving import load, save

TASKS = split(glyphs(classes=6, train=60, test=20))


def lived(strategy, scenario="class", passes=4):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6))
    made = Learner(model, strategy, optimise=partial(torch.optim.Adam, lr=3e-3), scenario=scenario)
    for number, task in enumerate(TASKS):
        generator = torch.Generator().manual_seed(number)
        for _ in range(passes):
            for rows in torch.randperm(len(task.train.y), generator=generator).split(20):
                made.observe(task.train.x[rows], task.train.y[rows], number)
    made.end_task()
    return made


def right(made, number, task=-1):
    part = TASKS[number].test
    return float((made.predict(part.x, task).argmax(-1) == part.y).float().mean())


def test_its_scores_are_those_of_ridge_regression():
    z, asked = (F.normalize(torch.randn(n, 5, generator=torch.Generator().manual_seed(n)), dim=1) for n in (12, 4))
    y = torch.arange(12) % 3
    said = GenerativeKernel(penalty=0.3).said(z, y, asked, 3)
    weights = torch.linalg.solve(z.T @ z + 0.3 * torch.eye(5), z.T @ F.one_hot(y, 3).float())  # the primal form
    assert torch.allclose(said, asked @ weights, atol=1e-5)


def test_random_fourier_features_come_near_the_kernel_that_they_stand_for():
    z = F.normalize(torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    near, exact = GenerativeKernel(kernel="fourier").similar(z, z), GenerativeKernel(kernel="rbf").similar(z, z)
    assert (near - exact).abs().max() < 0.2
    assert (near - exact).abs().mean() < 0.04
    assert torch.equal(exact.diagonal().round(decimals=5), torch.ones(20))


def test_the_bound_of_an_autoencoder_that_says_nothing_is_the_size_of_x():
    made = Autoencoder(torch.Size([3]), 2, 2)
    for p in made.parameters():
        nn.init.zeros_(p)
    x, y = torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([0])
    assert float(made.bound(x, y, 0.5, torch.Generator()).detach()) == pytest.approx(
        9 / (2 * 0.5) / 3
    )  # the prior costs 0


def test_the_first_task_is_told_from_generated_samples_after_others():
    made, plain = lived(GenerativeKernel()), lived(())
    assert right(made, 0) > 0.5
    assert right(plain, 0) < 0.1
    generated = made.strategies[0].held(torch.tensor([0, 1]))
    assert len(generated.y) == 100
    assert float((made.predict(generated.x, 0).argmax(-1) == generated.y).float().mean()) > 0.95
    assert not any("held" in name for name in made.strategies[0].tensors())  # no sample is stored


def test_an_answer_is_the_same_each_time_and_over_the_named_tasks_classes():
    made = lived(GenerativeKernel(kernel="rbf"), "task", passes=1)
    x = TASKS[1].test.x
    assert torch.equal(made.predict(x, 1), made.predict(x, 1))
    assert set(made.predict(x, 1).argmax(-1).tolist()) <= {2, 3}


def test_stored_samples_are_as_many_of_each_class_and_all_that_is_held():
    made = lived(GenerativeKernel(stored=5), passes=1).strategies[0]
    assert torch.bincount(made.buffer.held[1]).tolist() == [5] * 6
    assert made.model is None
    assert made.nbytes == 30 * (64 * 4 + 8 + 8) + 8 + 4 * 8  # samples, what was met, and the old classes


def test_stored_samples_are_saved_and_others_stored_afterwards(tmp_path):
    whole = lived(GenerativeKernel(stored=5), passes=1)
    half = Learner(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6)), GenerativeKernel(stored=5))
    for number in range(2):
        part = TASKS[number].train
        half.observe(part.x, part.y, number)
    save(half, tmp_path / "learner")
    other = Learner(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6)), GenerativeKernel(stored=5), seed=5)
    load(other, tmp_path / "learner")
    other.observe(TASKS[2].train.x, TASKS[2].train.y, 2)
    assert torch.bincount(other.strategies[0].buffer.held[1]).tolist() == [5] * 6
    assert other.nbytes == whole.nbytes


def test_more_generated_samples_make_the_answer_better():
    made = lived(GenerativeKernel())
    one, many = ([], [])
    for each, found in ((1, one), (50, many)):
        made.strategies[0].samples = each
        found += [right(made, number) for number in range(3)]
    assert sum(many) > sum(one)


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="above 0"):
        GenerativeKernel(penalty=0.0)
    with pytest.raises(InvalidInput, match="no linear layer"):
        Learner(nn.Sequential(nn.Conv1d(1, 1, 1)), GenerativeKernel()).observe(
            torch.zeros(2, 1, 3), torch.tensor([0, 1]), 0
        )
