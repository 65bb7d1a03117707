"""Attendre: what waiting queries see, against a loop; and what waiting, and policies by use, gain."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.forget.attendre import Attendre
from mnemos.bench.kv import waiting
from mnemos.errors import InvalidInput


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("delay", [0, 3, 4, 9])
def test_a_query_sees_what_the_memory_held_when_it_left(delay):
    layer = Attendre(8, memory=100, delay=delay, chunk=4)
    x = torch.randn(2, 14, 8)
    query, key, value = layer.project(x).chunk(3, -1)
    out = layer(x)
    for i in range(14):
        chunks = next(n for n in range(4, 99, 4) if n - delay > i or n >= 14)  # tokens read when query i leaves
        until = min(chunks, 14)
        weights = (query[:, i : i + 1] @ key[:, :until].mT / 8**0.5).softmax(-1)
        assert torch.allclose(out[:, i], layer.out(weights @ value[:, :until])[:, 0], atol=1e-5)


def test_fifo_evicts_the_oldest():
    layer, full = (Attendre(8, memory=m, chunk=4, policy="fifo") for m in (4, 100))
    full.load_state_dict(layer.state_dict())
    x = torch.randn(2, 12, 8)
    assert torch.allclose(layer(x)[:, 8:], full(x[:, 4:])[:, 4:], atol=1e-5)


@torch.no_grad()
def test_waiting_a_chunk_answers_what_is_only_told_later(trained_layer):
    found = {}
    for delay in (0, 4):
        model = trained_layer(f"attendre-later-{delay}", lambda delay=delay: waiting.Reader(memory=12, delay=delay))
        found[delay] = float(waiting.right(model, waiting.told_later, waiting.LATER, 256).mean())
    assert found[0] < 0.25
    assert found[4] > 0.9


@torch.no_grad()
def test_use_is_a_better_policy_than_age(trained_layer):
    model = trained_layer("attendre-again", lambda: waiting.Reader(memory=99))
    model.layer.memory, found = 6, {}
    for policy in ("fifo", "lfa", "lra"):
        model.layer.policy = policy
        found[policy] = float(waiting.right(model, waiting.asked_again, waiting.AGAIN, 256)[-2:].mean())
    assert found["fifo"] < 0.4
    assert min(found["lfa"], found["lra"]) > found["fifo"] + 0.3


def test_an_unknown_policy_is_refused():
    with pytest.raises(InvalidInput):
        Attendre(8, 4, policy="mru")
