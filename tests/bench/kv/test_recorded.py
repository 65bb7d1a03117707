"""A replayed prefill leaves the cache that a prefill of its own leaves."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached  # noqa: E402
from mnemos.activation.presets import all_presets  # noqa: E402
from mnemos.activation.recall.infllm import InfLLM  # noqa: E402
from mnemos.bench.kv.recorded import load, prefill_of, record, replay, save  # noqa: E402


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def model(request):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval().requires_grad_(False).to(request.param)


@pytest.fixture(scope="module")
def ids():
    return torch.randint(3, 99, (1, 57), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def prefill(model, ids):
    return record(model, ids[:, :48])


def answered(model, cache, ids):
    with torch.no_grad(), attached(model):
        return model(ids[:, 48:], past_key_values=cache).logits


@pytest.mark.parametrize("name", all_presets())
def test_a_replayed_method_is_the_attached_one(model, ids, prefill, name):
    method = all_presets()[name].at_share(0.5)
    own, replayed = MemoryCache(model, method), MemoryCache(model, method)
    with torch.no_grad(), attached(model):
        model(ids[:, :48], past_key_values=own)
    assert replay(model, prefill, replayed)
    assert (replayed.held, replayed.nbytes) == (own.held, own.nbytes)
    assert torch.equal(answered(model, replayed, ids), answered(model, own, ids))


def test_a_method_that_changes_the_prefill_reads_the_prompt_itself(model, ids, prefill):
    method = CacheMethod(store=InfLLM(size=4, top=1, local=8, sinks=1, step=8))
    own, replayed = MemoryCache(model, method), MemoryCache(model, method)
    with torch.no_grad(), attached(model):
        model(ids[:, :48], past_key_values=own)
    assert not replay(model, prefill, replayed)
    assert torch.equal(answered(model, replayed, ids), answered(model, own, ids))


def test_a_prefill_is_recorded_once(model, ids, prefill, tmp_path, monkeypatch):
    save(prefill, tmp_path / "one.safetensors")
    again = load(tmp_path / "one.safetensors")
    assert again.calls == prefill.calls
    for one, other in zip(again.layers, prefill.layers, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)
    first = prefill_of(model, "small", ids, tmp_path)
    monkeypatch.setattr("mnemos.bench.kv.recorded.record", None)  # would be called again
    assert torch.equal(prefill_of(model, "small", ids, tmp_path).last, first.last)
    size = sum(2 * layer["key"].nbytes for layer in first.layers)
    assert first.full_bytes == size
