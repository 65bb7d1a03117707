"""Strategies that make the weights of each task: what they keep is kept to the bit, and what they hold is small."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.streams import glyphs, permuted
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.corrections import Corrections
from mnemos.parametric.consolidate.hypernetwork import Hypernetwork
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.made import made, surprise
from mnemos.parametric.consolidate.masked import Bits
from mnemos.parametric.consolidate.rank_updates import RankUpdates
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.reprogramming import ChannelReprogramming
from mnemos.parametric.consolidate.sparse_tasks import SparseTasks, densities
from mnemos.parametric.consolidate.sparse_training import SparseTraining
from mnemos.parametric.consolidate.weight_masks import WeightMasks
from mnemos.parametric.consolidate.weight_search import WeightSearch

IMAGES = glyphs(classes=4, train=40, test=10)
TASKS = permuted(IMAGES, 3, 0)
EXACT = [
    RankUpdates(),
    WeightMasks(),
    WeightMasks("gates", pressure=1.0),
    SparseTasks(every=5, density=0.3),
    SparseTasks(grow="gradient", every=5, density=0.3),
    WeightSearch(),
    ChannelReprogramming(),
    Corrections(),
]


def learner(strategy, model=None, **options):
    torch.manual_seed(0)
    model = model or nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    options.setdefault(
        "optimise", partial(torch.optim.AdamW, lr=3e-3, weight_decay=0.1)
    )  # it would move frozen weights
    return Learner(model, strategy, scenario="task", **options)


def learn(made, task, number, epochs=3, batch=10):
    for epoch in range(epochs):
        for rows in torch.randperm(len(task.train.y), generator=torch.Generator().manual_seed(epoch)).split(batch):
            made.observe(task.train.x[rows], task.train.y[rows], number)
    made.end_task()


def right(made, task, number):
    return float((made.predict(task.test.x, number).argmax(-1) == task.test.y).float().mean())


@pytest.mark.parametrize("strategy", EXACT, ids=str)
def test_answers_of_a_named_task_stay_the_same_to_the_bit(strategy):
    one = learner(strategy)
    learn(one, TASKS[0], 0)
    before = one.predict(TASKS[0].test.x, 0)
    for number in (1, 2):
        learn(one, TASKS[number], number)
    assert torch.equal(one.predict(TASKS[0].test.x, 0), before)
    assert right(one, TASKS[2], 2) > 0.4


def test_a_task_of_rank_updates_costs_its_terms_and_one_number_for_each_term_before():
    one = learner(RankUpdates(first=5, more=2))
    learn(one, TASKS[0], 0, epochs=1)
    held = one.nbytes
    learn(one, TASKS[1], 1, epochs=1)
    terms = 2 * (64 + 32) + 2 * (32 + 4)
    # the second matrix has rank 4, so that its first task has 4 terms
    assert one.nbytes - held == 4 * (terms + (5 + 2) + (4 + 2) + 32 + 4)
    first = made(one).weights(0)["0.weight"]
    assert int(torch.linalg.matrix_rank(first)) == 5
    assert int(torch.linalg.matrix_rank(made(one).weights(1)["0.weight"])) == 7


def test_without_a_choice_all_earlier_terms_count_one():
    one = learner(RankUpdates(first=5, selects=False))
    learn(one, TASKS[0], 0, epochs=1), learn(one, TASKS[1], 1, epochs=1)
    assert all(torch.equal(s, torch.ones_like(s)) for p in one.model.maker.chosen.values() for s in p.values())


def test_masks_have_the_given_share_and_are_held_as_bits():
    one = learner(WeightMasks(density=0.25))
    for number, task in enumerate(TASKS):
        learn(one, task, number, epochs=1)
    masks = one.model.maker
    assert [int(m.sum()) for m in masks.mask(1).values()] == [round(0.25 * 64 * 32), round(0.25 * 32 * 4)]
    assert sum(b.numel() for b in masks.masks["0"].buffers()) == 64 * 32 // 8 + 32 * 4 // 8
    union = {n: masks.mask(0)[n] | masks.mask(1)[n] | masks.mask(2)[n] for n in masks.names}
    assert all(torch.equal(union[n], used) for n, used in masks.used.read().items())


def test_bits_return_what_was_written():
    mask = {"a.weight": torch.rand(5, 7) < 0.3, "b": torch.rand(3, 1, 3, 3) < 0.5}
    bits = Bits({name: m.shape for name, m in mask.items()})
    bits.write(mask)
    assert all(torch.equal(found, mask[name]) for name, found in bits.read().items())


def test_a_full_mask_leaves_later_tasks_no_weights_to_learn():
    one = learner(WeightMasks(density=1.0))
    learn(one, TASKS[0], 0, epochs=1)
    before = one.model.inner[0].weight.clone()
    learn(one, TASKS[1], 1, epochs=1)
    assert torch.equal(one.model.inner[0].weight, before)


def test_pressure_closes_gates():
    shares = []
    for pressure in (0.0, 20.0):
        one = learner(WeightMasks("gates", pressure=pressure))
        learn(one, TASKS[0], 0)
        shares.append(float(torch.cat([m.flatten() for m in one.model.maker.mask(0).values()]).float().mean()))
    assert shares[1] < 0.9 * shares[0]


def test_an_input_of_no_task_surprises_all_masks():
    one = learner(WeightMasks(density=0.5))
    for number in (0, 1):
        learn(one, TASKS[number], number, epochs=8)
    known, other = surprise(one, TASKS[0].test.x), surprise(one, TASKS[2].test.x)
    assert float(known.mean()) < float(other.mean())
    said = one.predict(TASKS[1].test.x)  # no task is named
    assert float((said.argmax(-1) == TASKS[1].test.y).float().mean()) > 0.5


def test_moved_connections_stay_as_many_and_never_overlap():
    one = learner(SparseTasks(density=0.2, spread="uniform", every=4))
    for number, task in enumerate(TASKS):
        learn(one, task, number)
    masks = one.model.maker
    for name in masks.names:
        found = torch.stack([masks.mask(t)[name] for t in range(3)])
        assert [int(m.sum()) for m in found] == [round(0.2 * found[0].numel())] * 3
        assert int(found.sum(0).max()) == 1


def test_densities_keep_the_number_of_weights_and_follow_the_sides():
    shapes = {"a": torch.Size([100, 200]), "b": torch.Size([10, 100])}
    found = densities(shapes, 0.1, "erk")
    assert sum(found[n] * shapes[n].numel() for n in shapes) == pytest.approx(0.1 * 21_000)
    assert found["b"] / found["a"] == pytest.approx((110 / 1000) / (300 / 20_000))
    assert densities(shapes, 0.9, "erk")["b"] == 1.0


def test_a_task_of_searched_weights_costs_a_byte_a_piece():
    one = learner(WeightSearch(length=4))
    learn(one, TASKS[0], 0, epochs=1)
    held = one.nbytes
    learn(one, TASKS[1], 1, epochs=1)
    assert one.nbytes - held == (64 * 32 + 32 * 4) // 4 + 4 * 2 * (32 + 4)


def test_the_hypernetwork_is_smaller_than_its_model_and_its_term_keeps_old_weights():
    moved = []
    for strength in (0.0, 1.0):
        knobs = Hypernetwork(strength, chunk=128, hidden=8, embedding=4)
        one = learner(knobs, optimise=partial(torch.optim.Adam, lr=3e-3))
        learn(one, TASKS[0], 0)
        before = made(one).weights(0)["0.weight"].clone()
        learn(one, TASKS[1], 1)
        moved.append(float((made(one).weights(0)["0.weight"] - before).detach().norm()))
    assert moved[1] < 0.3 * moved[0]
    maker = one.model.maker
    assert sum(p.numel() for p in maker.network.parameters()) < maker.count


def test_a_look_ahead_of_no_step_is_the_plain_term():
    ends = []
    for lookahead in (0.0, 1e-12):
        one = learner(Hypernetwork(1.0, chunk=128, hidden=8, lookahead=lookahead))
        learn(one, TASKS[0], 0, epochs=1), learn(one, TASKS[1], 1, epochs=1)
        ends.append(one.predict(TASKS[0].test.x, 0))
    assert torch.allclose(ends[0], ends[1], atol=1e-4)


def test_a_correction_begins_exactly_where_the_earlier_model_is():
    one = learner(Corrections())
    learn(one, TASKS[0], 0)
    before = one.predict(TASKS[1].test.x, 0)
    one.begin_task(1)
    assert torch.allclose(one.model(TASKS[1].test.x), before, atol=1e-6)


def test_kernels_begin_as_the_network_is_and_cost_ten_numbers_a_channel():
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 4)
    )  # fmt: skip
    x, plain = TASKS[0].test.x, None
    with torch.no_grad():
        plain = model(x)
    one = learner(ChannelReprogramming(), model)
    one.begin_task(0)
    assert torch.allclose(one.model(x), plain, atol=1e-6)
    own = one.model.maker.own["0"]
    assert sum(p.numel() for p in own.values()) == 6 * 10 + 6 * 36 * 4 + 4
    assert not any(p.requires_grad for p in one.model.inner.parameters())


def test_knobs_that_say_nothing_are_refused():
    for make in (
        lambda: RankUpdates(first=0),
        lambda: WeightMasks(density=0),
        lambda: SparseTasks(density=2),
        lambda: WeightSearch(0),
        lambda: Hypernetwork(chunk=0),
        lambda: Corrections(0),
    ):
        with pytest.raises(InvalidInput):
            make()


def test_sparse_training_uses_its_share_counts_its_work_and_leaves_easy_samples_out():
    one = learner(SparseTraining(density=0.25, extra=0.25, span=5, easy=1) + Replay(20, 10))
    first = one.strategies[0]
    learn(one, TASKS[0], 0, epochs=1)
    weights = dict(one.model.named_parameters())
    used = int(sum((weights[n] != 0).sum() for n in first.masks))
    assert used <= sum(int(m.sum()) for m in first.masks.values()) == (64 * 32 + 32 * 4) // 4
    learn(one, TASKS[1], 1, epochs=2)
    assert sum(int(m.sum()) for m in first.masks.values()) == (64 * 32 + 32 * 4) // 4  # grown, and pruned again
    dense = 3 * one.steps * 20 * (64 * 32 + 32 * 4)
    assert first.work < 0.35 * dense
    assert any(n >= 1 for n in first.rights.values())
