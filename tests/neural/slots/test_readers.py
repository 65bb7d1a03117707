"""Memory networks and MEMO: what a hop is, places, masks, and where thinking stops."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.slots.memo import Memo
from mnemos.neural.slots.memory_network import MemoryNetwork


@pytest.fixture(params=["memory-network", "memo"])
def reader(request):
    torch.manual_seed(0)
    return (
        MemoryNetwork(6, inner=8, hops=2, places=0) if request.param == "memory-network" else Memo(6, items=1, hops=2)
    )


def test_facts_in_any_order_give_the_same_answer_and_padding_none(reader):
    torch.manual_seed(1)
    facts, question = torch.randn(3, 5, 6), torch.randn(3, 6)
    answer, weights = reader(facts, question)
    order = torch.tensor([3, 0, 4, 2, 1])
    other, moved = reader(facts[:, order], question)
    torch.testing.assert_close(other, answer, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(moved, weights[:, :, order], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2))
    padded, mask = torch.cat([torch.randn(3, 2, 6), facts], 1), (torch.arange(7) >= 2).expand(3, -1)
    torch.testing.assert_close(reader(padded, question, mask)[0], answer, atol=1e-5, rtol=1e-4)
    with pytest.raises(InvalidInput, match="give"):
        reader(facts[..., :4], question)


def test_a_hop_is_the_formula_of_the_paper():
    torch.manual_seed(0)
    net, facts, question = MemoryNetwork(6, 4, hops=2, places=8), torch.randn(1, 3, 6), torch.randn(1, 6)
    A, T = list(net.maps), list(net.times)
    u, place = question[0] @ A[0], torch.tensor([2, 1, 0])
    for hop in range(2):
        p = ((facts[0] @ A[hop] + T[hop][place]) @ u).softmax(0)
        u = u + p @ (facts[0] @ A[hop + 1] + T[hop + 1][place])
    torch.testing.assert_close(net(facts, question)[0][0], A[-1] @ u)


def test_places_tell_the_last_of_two_equal_facts():
    torch.manual_seed(0)
    net, facts = MemoryNetwork(4, 4, hops=1, places=4), torch.eye(4)[[0, 1]][None]
    assert not torch.allclose(net(facts, torch.eye(4)[2:3])[0], net(facts.flip(1), torch.eye(4)[2:3])[0])


def test_thinking_stops_where_the_policy_says_and_learns_from_rewards():
    torch.manual_seed(0)
    memo = Memo(6, items=2, hops=4, price=0.3)
    facts, question = torch.randn(16, 5, 6), torch.randn(16, 3)
    assert memo.stopped(torch.tensor([[0.1, 0.6, 0.9, 0.2], [0.1, 0.1, 0.1, 0.1]])).tolist() == [1, 3]
    optimiser = torch.optim.Adam([*memo.watch.parameters(), *memo.halt.parameters()], 0.05)
    for step in range(30):  # every answer is right, so the first is the best
        thought = memo.thought(facts, question)
        loss = memo.loss(thought, torch.ones(16, 4), thought.answers.sum(-1) * 0, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    answers, weights = memo(facts, question)
    assert (memo.stopped(memo.thought(facts, question).stops) == 0).all()
    torch.testing.assert_close(answers, memo.thought(facts, question).answers[:, 0])
    assert weights.shape == (16, 4, 5)


def test_an_untrained_hop_looks_at_the_facts_of_its_item():
    torch.manual_seed(0)
    memo = Memo(32, items=2, heads=4, hops=2)
    items = torch.nn.functional.normalize(torch.randn(64, 9, 16), dim=-1) * 4
    facts = torch.cat([torch.cat([items[:, i], items[:, i + 1]], -1)[:, None] for i in range(8)], 1)
    thought = memo.thought(facts, items[:, 0])
    assert (thought.weights[:, 0].argmax(1) == 0).float().mean() > 0.8  # only the first fact has this item
