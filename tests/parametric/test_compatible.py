"""Encoder updates that keep stored vectors usable: a classifier that never moves, and features that stay near."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.compatible import CompatibleUpdate, simplex
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay


@pytest.mark.parametrize("corners", [2, 3, 10])
def test_corners_are_of_one_length_and_all_at_the_same_angle(corners):
    cosines = simplex(corners) @ simplex(corners).T
    wanted = torch.full((corners, corners), -1 / (corners - 1)).fill_diagonal_(1)
    assert simplex(corners).shape == (corners, corners - 1)
    assert torch.allclose(cosines, wanted, atol=1e-5)


def test_the_classifier_stays_and_the_features_of_what_is_replayed_stay_near():
    def learned(strength):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 5), nn.Linear(5, 4))
        optimise = partial(torch.optim.SGD, lr=0.1)
        learner = Learner(model, Replay(40, 10) + CompatibleUpdate(strength), optimise=optimise)
        x, y = torch.randn(40, 4), torch.arange(40) % 2
        for _ in range(20):
            learner.observe(x, y, 0)
        learner.end_task()
        before = model[:3](x).detach()
        for _ in range(60):
            learner.observe(torch.randn(10, 4) + 2, torch.arange(10) % 2 + 2, 1)
        assert torch.equal(model[3].weight[:, :3], simplex(4))
        assert not model[3].bias.any()
        return float((model[:3](x).detach() - before).square().mean())

    assert learned(2.0) < 0.7 * learned(0.0)


def test_too_narrow_a_classifier_is_refused():
    learner = Learner(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 6)), CompatibleUpdate())
    with pytest.raises(InvalidInput, match="classes less one"):
        learner.observe(torch.randn(3, 4), torch.tensor([0, 1, 2]), 0)
