"""Attendre: what waiting queries see, against a loop; and what waiting and remembering use are good for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from mnemos.activation.forget.attendre import Attendre
from mnemos.errors import InvalidInput

FACTS = 12


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("delay", [0, 3, 4, 9])
def test_a_query_sees_what_was_there_when_it_left(delay):
    layer = Attendre(8, memory=100, delay=delay, chunk=4)
    x = torch.randn(2, 14, 8)
    query, key, value = layer.project(x).chunk(3, -1)
    out = layer(x)
    for i in range(14):
        chunks = next(n for n in range(4, 99, 4) if n - delay > i or n >= 14)  # tokens read when query i leaves
        until = min(chunks, 14)
        weights = (query[:, i : i + 1] @ key[:, :until].mT / 8**0.5).softmax(-1)
        assert torch.allclose(out[:, i], layer.out(weights @ value[:, :until])[:, 0], atol=1e-5)


def test_the_oldest_go_first_in_first_out():
    layer, full = (Attendre(8, memory=m, chunk=4, policy="fifo") for m in (4, 100))
    full.load_state_dict(layer.state_dict())
    x = torch.randn(2, 12, 8)
    assert torch.allclose(layer(x)[:, 8:], full(x[:, 4:])[:, 4:], atol=1e-5)


class Reader(nn.Module):
    """Tokens are (key, value or 0): a fact, or a question that is answered at its own place."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.keys, self.values = nn.Embedding(FACTS, 32), nn.Embedding(9, 32)
        self.layer, self.out = Attendre(32, chunk=4, **options), nn.Linear(32, 9)

    def forward(self, x):
        return self.out(self.layer(self.keys(x[..., 0]) + self.values(x[..., 1])))


def trained(model, make, asked, steps):
    rng = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), 6e-3)
    for _ in range(steps):
        x, y = make(48, rng)
        loss = nn.functional.cross_entropy(model(x)[:, asked].flatten(0, 1), y.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def right(model, make, asked):
    x, y = make(256, torch.Generator().manual_seed(1))
    return (model(x)[:, asked].argmax(-1) == y).float().mean(0)


def drawn(count, rng):
    keys = torch.rand(count, FACTS, generator=rng).argsort(1)
    values = torch.randint(1, 9, (count, FACTS), generator=rng)
    return keys, values, torch.stack((keys, values), -1), torch.stack((keys, torch.zeros_like(values)), -1)


def answered_later(count, rng):
    """Four questions, and only then the facts."""
    _, values, facts, questions = drawn(count, rng)
    return torch.cat((questions[:, :4], facts[:, [2, 0, 3, 1]], facts[:, 4:8]), 1), values[:, :4]


def asked_again(count, rng):
    """Four facts, of which two are asked for again and again as other facts come in."""
    _, values, facts, questions = drawn(count, rng)
    parts = [facts[:, :4]]
    for first in range(4, 12, 2):
        parts += [questions[:, :2], facts[:, first : first + 2]]
    return torch.cat(parts, 1), values[:, :2].repeat(1, 4)


def test_waiting_a_chunk_answers_what_is_only_told_later():
    asked = [0, 1, 2, 3]
    at_once = trained(Reader(memory=12), answered_later, asked, 150)
    waiting = trained(Reader(memory=12, delay=4), answered_later, asked, 150)
    assert right(at_once, answered_later, asked).mean() < 0.25
    assert right(waiting, answered_later, asked).mean() > 0.9


def test_use_decides_better_than_age():
    asked = [4, 5, 8, 9, 12, 13, 16, 17]
    model = trained(Reader(memory=99), asked_again, asked, 200)
    model.layer.memory, found = 6, {}
    for policy in ("fifo", "lfa", "lra"):
        model.layer.policy = policy
        found[policy] = float(right(model, asked_again, asked)[-2:].mean())
    assert found["fifo"] < 0.4
    assert min(found["lfa"], found["lra"]) > found["fifo"] + 0.3


def test_a_policy_that_is_not_there_is_refused():
    with pytest.raises(InvalidInput):
        Attendre(8, 4, policy="mru")
