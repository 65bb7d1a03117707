"""Prompts and adapters over a frozen backbone: what is trained, what is kept, who answers."""

from functools import partial

import pytest
import torch

from mnemos.bench.parametric.learning.backbones import Rows
from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.adapter_pool import AdapterPool
from mnemos.parametric.consolidate.frozen import Adapters
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.prompt_pool import PromptPool
from mnemos.parametric.consolidate.self_expansion import SelfExpansion

IMAGES = glyphs(classes=4, train=30, test=10)
TASKS = split(IMAGES)
X = IMAGES.test.x


def learner(strategy, **options):
    torch.manual_seed(0)
    model = Rows(8, 8, 4, width=16)
    return Learner(model, strategy, rivals="batch", optimise=partial(torch.optim.Adam, lr=1e-2), classifier=model.head)


def learn(one, task, number, epochs=2):
    for epoch in range(epochs):
        for rows in torch.randperm(len(task.train.y), generator=torch.Generator().manual_seed(epoch)).split(10):
            one.observe(task.train.x[rows], task.train.y[rows], number)
    one.end_task()
    return one


@pytest.mark.parametrize("strategy", [PromptPool(), AdapterPool(), SelfExpansion()], ids=str)
def test_the_backbone_stays_as_it_is_but_for_the_head(strategy):
    one = learner(strategy)
    before = {n: p.clone() for n, p in one.model.named_parameters()}
    learn(one, TASKS[0], 0)
    after = dict(one.model.backbone.named_parameters())
    same = {n for n in before if torch.equal(before[n], after[n])}
    assert {n for n in before if n not in same} == {"head.weight", "head.bias"}


def test_a_backbone_without_prompts_and_adapters_of_nothing_say_the_same():
    torch.manual_seed(0)
    model, generator = Rows(8, 8, 4, width=16), torch.Generator().manual_seed(0)
    adapters = Adapters(2, 16, 4, generator)
    assert torch.equal(model.encode(X, None, adapters), model.encode(X))
    assert not torch.allclose(model.encode(X, torch.randn(len(X), 2, 3, 16)), model.encode(X))


def test_a_causal_backbone_reads_no_later_position():
    torch.manual_seed(0)
    model = Rows(8, 8, 4, width=16, causal=True)
    prompts = torch.randn(1, 2, 3, 16)
    h = torch.randn(1, 8, 16)
    moved = h.clone()
    moved[:, 5:] += 1.0
    block = model.blocks[0]
    assert torch.allclose(block(h, prompts[:, 0], True)[:, :5], block(moved, prompts[:, 0], True)[:, :5], atol=1e-6)


def test_hard_choice_takes_the_prompts_of_the_nearest_keys():
    one = learner(PromptPool(size=5, chosen=2, length=3))
    one.begin_task(0)
    pool = one.model.pools[0]
    query = pool.keys.detach()[[3, 1]] * 2.0
    shares, apart = one.model.choose(query)
    assert shares.sum(1).tolist() == [2.0, 2.0]
    assert shares[0, 3] == 1.0
    assert shares[1, 1] == 1.0
    assert float(apart.detach()) < 2.0
    assert one.model.combine(shares).shape == (2, 2, 6, 16)


def test_soft_choice_of_one_prompt_that_is_met_exactly_is_that_prompt():
    one = learner(PromptPool("soft", size=1))
    one.begin_task(0)
    pool = one.model.pools[0]
    shares, _ = one.model.choose(pool.keys.detach())
    assert torch.allclose(one.model.combine(shares)[0], pool.prompts[0], atol=1e-5)


def test_prompts_of_earlier_tasks_are_frozen_where_the_pool_grows():
    one = learner(PromptPool("soft", size=2, grows=True, apart=0.1))
    learn(one, TASKS[0], 0)
    before = one.model.pools[0].prompts.clone()
    learn(one, TASKS[1], 1)
    assert torch.equal(one.model.pools[0].prompts, before)
    assert len(one.model.pools) == 2


def test_orthogonal_prompts_cost_nothing():
    one = learner(PromptPool("soft", size=3, length=1))
    one.begin_task(0)
    pool = one.model.pools[0]
    for p in (pool.prompts, pool.keys, pool.looks):
        p.data = torch.eye(3, p[0].numel()).view_as(p)
    assert float(one.model.crossed().detach()) == 0.0


def test_adapters_of_earlier_tasks_stay_the_same_and_merging_draws_the_new_one_near():
    apart = []
    for merge in (0.0, 0.5):
        one = learn(learner(AdapterPool(merge=merge, realign=0)), TASKS[0], 0)
        before = one.model.adapters["0"].up.clone()
        learn(one, TASKS[1], 1)
        assert torch.equal(one.model.adapters["0"].up, before)
        apart.append(float((one.model.adapters["1"].up - before).detach().norm()))
    assert apart[1] < 0.7 * apart[0]


@pytest.mark.parametrize("find", ["refined", "matched", "selector"])
def test_the_own_adapter_is_found_and_both_tasks_are_known(find):
    one = learner(AdapterPool(find, merge=0.3))
    for number in (0, 1):
        learn(one, TASKS[number], number, epochs=4)
    own = torch.cat([one.strategies[0].choose(t.test.x)[:, i] for i, t in enumerate(TASKS)])
    assert float(own.mean()) > 0.7
    assert float((one.predict(X).argmax(-1) == IMAGES.test.y).float().mean()) > 0.5


def test_what_is_known_adds_no_adapter_and_what_is_further_does():
    one = learn(learner(SelfExpansion()), TASKS[0], 0, epochs=20)
    assert one.model.counts == [1, 1]
    known, other = TASKS[0].train, TASKS[1].train
    with torch.no_grad():
        far = []
        for part in (known, other):
            one.model(part.x)
            far.append(float(one.model.descriptors[0][0].far(one.model.read[0]).mean()))
    assert far[0] < far[1]
    one.strategies[0].threshold = sum(far) / 2
    one.observe(known.x, known.y, 1)
    assert one.model.counts[0] == 1
    before = one.model.adapters[0][0].up.clone()
    for _ in range(3):
        one.observe(other.x, other.y, 2)
    assert one.model.counts[0] == 2
    assert torch.equal(one.model.adapters[0][0].up, before)  # the earlier one is frozen


def test_a_model_that_takes_no_prompts_is_refused():
    one = Learner(torch.nn.Linear(64, 4), PromptPool())
    with pytest.raises(InvalidInput, match="takes no prompts"):
        one.observe(X, IMAGES.test.y, 0)
