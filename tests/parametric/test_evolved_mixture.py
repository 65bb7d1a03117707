"""A mixture that grows: as many components as kinds of data, one where all data is alike."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.streams import glyphs, joint, split
from mnemos.parametric.consolidate.evolved_mixture import EvolvedMixture, dependence
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

IMAGES = glyphs(classes=6, train=100, test=20)
TASKS = split(IMAGES)


def lived(strategy, tasks):
    torch.manual_seed(0)
    made = Learner(nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 6)), strategy,
                   optimise=partial(torch.optim.SGD, lr=0.1))  # fmt: skip
    for task in tasks:
        for rows in torch.randperm(len(task.train.y), generator=torch.Generator().manual_seed(0)).split(10):
            made.observe(task.train.x[rows], task.train.y[rows])  # no task is named
    return made


def right(made):
    return float((made.predict(IMAGES.test.x).argmax(-1) == IMAGES.test.y).float().mean())


def test_it_grows_with_the_kinds_of_data_and_not_with_the_data():
    grown = lived(EvolvedMixture(window=50), TASKS)
    alike = lived(EvolvedMixture(window=50), [joint(TASKS)])
    assert len(grown.strategies[0].parts) == 3
    assert len(alike.strategies[0].parts) == 1
    assert right(grown) > right(lived(Replay(50), TASKS))


def test_dependence_is_small_for_sets_alike_and_one_for_sets_apart():
    made = torch.Generator().manual_seed(0)
    a, b = torch.randn(60, 4, generator=made), torch.randn(60, 4, generator=made)
    assert dependence(a, b) < 0.1
    assert dependence(a, b + 100) == pytest.approx(1, abs=0.05)
