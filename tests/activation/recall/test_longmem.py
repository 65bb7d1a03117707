"""LongMem: the model is unchanged, and the side network learns to read its older keys and values."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel

from mnemos.activation.recall.longmem import Bank, LongMem
from mnemos.bench.kv import far_back, tasks
from mnemos.errors import InvalidInput


def test_text_read_segments_ago_is_predicted_better_with_a_bank(small_model, trained_layer):
    task = tasks.key_value(40, 96, 6, seed=95)
    loss = {}
    for name, recall in (("longmem-bank", True), ("longmem-none", False)):
        memory = trained_layer(name, lambda: LongMem(small_model, size=256, found=4))
        with torch.no_grad():
            loss[name] = float(cross_entropy(*far_back.answers(memory, task, recall)))
    assert loss["longmem-bank"] < loss["longmem-none"] - 1.0, loss


def test_training_leaves_the_model_untouched(small_model):
    before = [p.clone() for p in small_model.parameters()]
    memory = LongMem(small_model, size=256, found=4)
    optimiser = torch.optim.AdamW(memory.parameters(), 3e-3)
    task = tasks.key_value(4, 96, 6, seed=1)
    loss = cross_entropy(*far_back.answers(memory, task, recall=True))
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        assert cross_entropy(*far_back.answers(memory, task, recall=True)) != loss
    assert all(torch.equal(p, q) for p, q in zip(small_model.parameters(), before, strict=True))
    assert not any(p is q for p in memory.parameters() for q in small_model.parameters())


@torch.no_grad()
def test_each_query_finds_the_chunks_with_the_best_mean_key():
    torch.manual_seed(1)
    bank = Bank(size=24, chunk=4)
    keys, values = torch.randn(1, 2, 22, 8), torch.randn(1, 2, 22, 8)
    bank.add(keys, values)
    query = torch.randn(1, 2, 3, 5, 8)
    found, told = bank.find(query, 2)
    for head in range(2):
        for group in range(3):
            for q in range(5):
                worth = [float(query[0, head, group, q] @ keys[0, head, 4 * n : 4 * n + 4].mean(0)) for n in range(5)]
                best = sorted(range(5), key=lambda n: -worth[n])[:2]
                positions = [4 * n + i for n in best for i in range(4)]
                assert torch.equal(found[0, head, group, q], keys[0, head, positions])
                assert torch.equal(told[0, head, group, q], values[0, head, positions])


def test_the_oldest_chunks_leave_a_full_bank():
    bank = Bank(size=8, chunk=4)
    for first in (0, 4, 8):
        keys = torch.arange(first, first + 5.0).view(1, 1, 5, 1)
        bank.add(keys, -keys)
    assert bank.keys.flatten().tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    assert bank.nbytes == 2 * 8 * 4


@torch.no_grad()
def test_the_gate_mixes_local_attention_with_that_over_the_bank(small_model):
    memory = LongMem(small_model, found=100)
    ids = tasks.repeated(2, 24, 2, seed=96).context
    memory(ids)
    query = torch.randn(2, 2, 24, 32, generator=torch.Generator().manual_seed(3))
    found = memory.recalled(query, 0.2)
    turned = memory.rotary.shift(query, -torch.arange(24))
    for head in range(2):
        weights = (turned[:, head] @ memory.bank.keys[:, 0].transpose(1, 2) * 0.2).softmax(-1)
        assert torch.allclose(found[:, head], weights @ memory.bank.values[:, 0], atol=1e-5)
    local = memory(ids, recall=False)
    memory.gate.fill_(50.0)
    assert torch.allclose(memory(ids), local, atol=1e-4)
    memory.gate.fill_(0.0)
    assert not torch.allclose(memory(ids), local, atol=1e-2)


def test_models_that_are_laid_out_otherwise_are_refused():
    config = GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=20)
    with pytest.raises(InvalidInput, match="laid out"):
        LongMem(GPT2LMHeadModel(config))
