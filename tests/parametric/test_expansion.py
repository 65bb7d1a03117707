"""A model that grows: earlier blocks stay bit for bit, bytes are those of its blocks, a new block says nothing at first."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.expansion import Expanded, ModelExpansion
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay

TASKS = split(glyphs(classes=6, train=40, test=10))


def learner(**how):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 6))
    return Learner(model, (Replay(60), ModelExpansion(**how)), optimise=partial(torch.optim.SGD, lr=0.1))


def test_earlier_blocks_and_lower_layers_stay_and_the_first_answer_of_a_grown_model_is_the_old_one():
    made, before = learner(), torch.zeros(0)
    for number, task in enumerate(TASKS):
        made.begin_task(number)
        if number:
            torch.testing.assert_close(made.predict(task.test.x), before)
        kept = [p.clone() for block in made.model.blocks[:number] for p in block.parameters()]
        shared = made.model.lower[0].weight.clone()
        for rows in torch.randperm(80, generator=torch.Generator().manual_seed(0)).split(8):
            made.observe(task.train.x[rows], task.train.y[rows], number)
        if number:
            assert torch.equal(made.model.lower[0].weight, shared)
        now = [p for block in made.model.blocks[:number] for p in block.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))
        made.end_task()
        if number + 1 < len(TASKS):
            before = made.predict(TASKS[number + 1].test.x)
    assert len(made.model.blocks) == 3
    assert sum(p.numel() for p in made.model.blocks.parameters()) == 3 * (24 * 12 + 12)
    lengths = made.model.head.weight.detach().norm(dim=1)
    assert float(lengths[4:].mean() / lengths[:4].mean()) == pytest.approx(1, abs=1e-4)


def test_a_model_that_has_no_parts_is_refused():
    with pytest.raises(InvalidInput, match="lower less"):
        learner(lower=4).begin_task(0)
    assert not isinstance(learner().model, Expanded)
