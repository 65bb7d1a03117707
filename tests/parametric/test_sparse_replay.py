"""Units by age, and rehearsal of the last classes' activations: what is frozen does not drift, and what is held is bounded."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.lives import Life, live
from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.latent_replay import LatentReplay
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.sparse_replay import SparseReplay
from mnemos.parametric.consolidate.units import Units

TASKS = split(glyphs(classes=6, train=140, test=20))


def layers():
    torch.manual_seed(0)
    return [nn.Linear(8, 12), nn.Linear(12, 10)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def learner(*strategies, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 60), nn.ReLU(), nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 6)
    )
    return Learner(model, strategies, optimise=partial(torch.optim.Adam, lr=3e-3), seed=seed)


def test_the_most_active_units_that_have_the_share_are_chosen():
    units = Units(layers(), 0.5, generator())
    active = torch.tensor([4.0, 3.0, 2.0, 1.0] + [0.0] * 8)
    units.choose([active, torch.ones(10)], 0.65)
    assert units.ages[0].nonzero().flatten().tolist() == [0, 1]
    assert int((units.ages[1] == 1).sum()) == 7
    units.promote()
    units.choose([active.flip(0), torch.ones(10)], 0.65)
    assert units.ages[0].tolist() == [2, 2] + [0] * 8 + [1, 1]


def test_rewiring_keeps_the_number_of_connections_and_lets_old_units_read_old_ones_alone():
    made = layers()
    units = Units(made, 0.4, generator())
    counts = [int(mask.sum()) for mask in units.masks]
    units.choose([torch.arange(12.0), torch.arange(10.0)], 0.5)
    units.rewire(generator(1))
    assert [int(mask.sum()) for mask in units.masks] == counts
    free = units.ages[0] == 0
    assert not units.masks[1][units.ages[1] > 0][:, free].any()
    for layer, mask in zip(made, units.masks, strict=True):
        assert not layer.weight[~mask].any()


def test_frozen_units_say_the_same_of_any_input_to_the_bit():
    made = learner(SparseReplay(each=10, every=10))
    seen = {}
    x = torch.rand(30, 64, generator=generator())
    for number, task in enumerate(TASKS):
        for rows in torch.randperm(len(task.train.y), generator=generator(number)).split(20):
            made.observe(task.train.x[rows], task.train.y[rows], number)
        made.end_task()
        strategy = made.strategies[0]
        with torch.no_grad():
            z = made.read(x)[1]
        for age in range(3, 3 + number):
            which = strategy.units.ages[-1] >= age
            born = number - age
            if born in seen:
                old, units = seen[born]
                assert torch.equal(z[:, units], old)
            if age == 3:
                assert which.any()
                seen[born] = (z[:, which], which)
    assert len(seen) == 2


def test_activations_of_the_last_task_alone_are_held_and_of_all_classes_few_features():
    made = learner(SparseReplay(each=10, every=10))
    live(made, TASKS, Life(batch=20))
    strategy = made.strategies[0]
    assert list(strategy.held) == [4, 5]
    assert sorted(strategy.met) == list(range(6))
    assert [len(z.decompress()) for z in strategy.held.values()] == [10, 10]
    held = {name: t.numel() * t.element_size() for name, t in strategy.tensors().items() if name.startswith("held")}
    assert sum(held.values()) == 20 * (48 + 4)  # a byte a number, and two half floats a row


def test_it_knows_more_of_early_classes_than_rehearsal_of_the_last_classes():
    shown = {}
    for name, strategy in (
        ("sparse", SparseReplay(each=20, every=10)),
        ("images", Replay(40, 20, "balanced", last=1)),
        ("codes", LatentReplay(200, 20, last=1)),
    ):
        shown[name] = live(learner(strategy), TASKS, Life(batch=20, epochs=4)).figures()["accuracy"]
    assert shown["sparse"] > shown["images"] + 0.1
    assert shown["sparse"] > shown["codes"] + 0.1


def test_rehearsal_of_the_last_classes_holds_no_other():
    made = learner(Replay(50, 10, "balanced", last=1))
    for number, task in enumerate(TASKS):
        for rows in torch.arange(len(task.train.y)).split(20):
            made.observe(task.train.x[rows], task.train.y[rows], number)
            assert set(made.strategies[0].buffer.held[1].tolist()) <= {
                c for t in (number - 1, number) for c in (2 * t, 2 * t + 1)
            }
    assert len(made.strategies[0].buffer) == 50


def test_a_model_that_is_no_sequence_is_refused():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 6)

        def forward(self, x):
            return self.last(x)

    made = Learner(Other(), SparseReplay())
    with pytest.raises(InvalidInput, match=r"nn\.Sequential"):
        made.observe(torch.rand(4, 64), torch.tensor([0, 1, 0, 1]), 0)
    with pytest.raises(InvalidInput, match="counts from 1"):
        SparseReplay(each=0)
