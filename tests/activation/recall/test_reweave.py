"""Reweave: what is kept, what is added, and that the model is left as it was."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.recall.reweave import Reweave
from mnemos.errors import InvalidInput


@torch.no_grad()
def test_nothing_is_added_before_something_was_read_and_the_model_stays(llama, ids):
    memory = Reweave(llama, (0, 2))
    expected = llama(ids).logits
    assert torch.equal(memory(ids), expected)
    assert not torch.equal(memory(ids), expected)
    assert torch.equal(memory(ids, recall=False), expected)
    memory.clear()
    assert torch.equal(memory(ids), expected)
    assert torch.equal(llama(ids).logits, expected)


@torch.no_grad()
def test_what_is_woven_in_is_a_gated_weighted_sum_over_layers_and_tokens(llama, ids):
    memory = Reweave(llama, (0, 2), into=1, size=25)
    torch.nn.init.normal_(memory.of_layer)
    states = llama(ids[:, :20], output_hidden_states=True).hidden_states
    memory(ids[:, :20])
    memory(ids[:, 20:], recall=False)
    assert memory.states.shape == (2, 25, 2, 64), "the last 25 tokens"
    first = torch.nn.functional.layer_norm(states[1], (64,))
    assert (memory.states[:, :5, 0] - first[:, 15:]).abs().max() <= 1e-4
    state = torch.randn(2, 3, 64)
    unit = torch.nn.functional.layer_norm(state, (64,))
    found = memory.recalled(state)
    for row in range(2):
        for t in range(3):
            asked = memory.query(unit[row, t])
            kept = [(memory.states[row, n, i], i) for n in range(25) for i in range(2)]
            logits = torch.stack([asked @ (memory.key(s) + memory.of_layer[i]) / 32**0.5 for s, i in kept]).softmax(0)
            woven = sum(w * memory.value(s) for w, (s, _) in zip(logits, kept, strict=True))
            expected = torch.sigmoid(memory.gate(unit[row, t])) * woven
            assert (found[row, t] - expected).abs().max() <= 1e-5


def test_only_the_reader_is_trained(llama, ids):
    memory = Reweave(llama, (1,))
    memory(ids)
    memory(ids).sum().backward()
    names = {name for name, p in memory.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {"query.weight", "key.weight", "value.weight", "gate.weight"} <= names
    assert all("model" not in name for name, _ in memory.named_parameters())


def test_layers_that_are_not_there_are_refused(llama):
    with pytest.raises(InvalidInput, match="3 layers"):
        Reweave(llama, (5,))
