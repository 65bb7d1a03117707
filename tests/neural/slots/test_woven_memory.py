"""Woven memory: the model that it is woven into stays as it is, bit for bit, and the trigger learns what a call is worth."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.model import LM
from mnemos.neural.slots.woven import Adapted, WovenMemory


@pytest.fixture
def memory():
    torch.manual_seed(0)
    model = LM(7, 8, ["attention"], kernel=0, expand=2).requires_grad_(False)
    memory = WovenMemory(model, latents=3, rank=2, price=0.2)
    for up in (*memory.weaver.up, *memory.trigger.up):  # as after training
        torch.nn.init.normal_(up, std=0.3)
    return memory


def test_without_a_call_the_model_answers_bit_for_bit_as_before(memory):
    model, tokens = memory.held[0], torch.randint(7, (5, 4))
    own = model(tokens)[0][:, -1]
    assert torch.equal(memory(tokens, torch.zeros(5, dtype=torch.bool)), own)
    use = torch.tensor([True, False, True, False, False])
    mixed = memory(tokens, use)
    torch.testing.assert_close(mixed[~use], own[~use])
    assert not torch.isclose(mixed[use], own[use]).all(1).any()


def test_latents_are_read_like_tokens_after_the_text(memory):
    model, tokens = memory.held[0], torch.randint(7, (2, 4))
    hidden = model.stack(model.embed(tokens))[0]
    whole = torch.cat([model.embed(tokens), memory.woven(hidden)], 1)
    wanted = model.head(model.norm(model.stack(whole)[0][:, -1]))
    torch.testing.assert_close(memory(tokens, torch.ones(2, dtype=torch.bool)), wanted)


def test_training_reaches_the_memory_and_not_the_model(memory):
    before = [p.clone() for p in memory.held[0].parameters()]
    tokens = torch.randint(7, (6, 4))
    memory(tokens, torch.ones(6, dtype=torch.bool)).logsumexp(-1).sum().backward()
    assert memory.queries.grad.abs().sum() > 0
    assert all(p.grad is not None for p in memory.weaver.parameters())
    assert not any(p is q for p in memory.parameters() for q in memory.held[0].parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, memory.held[0].parameters(), strict=True))


def test_a_trigger_learns_to_ask_only_where_a_call_pays(memory, monkeypatch):
    tokens = torch.randint(1, 7, (64, 4))
    tokens[::2, -1] = 0  # a call is needed where the text ends with 0; the answer is 1

    def answer(tokens, use):
        right = use | (tokens[:, -1] != 0)
        return torch.nn.functional.one_hot(right.long(), 7).float()

    monkeypatch.setattr(memory, "forward", answer)
    optimiser = torch.optim.Adam(memory.parameters(), 0.03)
    for step in range(60):
        loss = memory.loss(tokens, torch.ones(64, dtype=torch.long), torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    asked = memory.asks(tokens) > 0
    assert asked[::2].float().mean() > 0.9
    assert asked[1::2].float().mean() < 0.1


def test_an_adapter_begins_as_the_stack():
    torch.manual_seed(0)
    model = LM(7, 8, ["gru"])
    adapted, x = Adapted(model.stack, 2), torch.randn(2, 3, 8)
    assert torch.equal(adapted(x)[0], model.stack(x)[0])
    with pytest.raises(InvalidInput, match="latents"):
        WovenMemory(model, latents=0)
