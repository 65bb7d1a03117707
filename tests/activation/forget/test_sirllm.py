"""SirLLM: what surprised the model stays, as the logits of the same call tell."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.forget.sirllm import SirLLM
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import ask
from mnemos.errors import InvalidInput


@pytest.fixture
def first_heads(positions):
    """Return the positions of the first head, by layer and row."""
    return lambda cache: [positions(cache, layer)[:, 0].tolist() for layer in range(len(cache.layers))]


def surprises(llama, ids):
    with torch.no_grad():
        logits = llama(ids).logits.log_softmax(-1)
    return -logits[:, :-1].gather(2, ids[:, 1:, None])[..., 0]  # of tokens 1, 2, ...


@pytest.mark.parametrize("chunk", [40, 7])
def test_the_most_surprising_stay(llama, ids, chunk, first_heads):
    cache = MemoryCache(llama, CacheMethod(SirLLM(), prompt=10, sinks=1))
    read(llama, ids, cache, chunk=chunk)
    best = surprises(llama, ids).topk(9, dim=1).indices.add(1).sort(1).values
    expected = torch.cat((torch.zeros(2, 1, dtype=torch.long), best), 1).tolist()
    assert first_heads(cache) == [expected] * 3


def test_surprise_fades_by_the_round(llama, ids, first_heads):
    cache = MemoryCache(llama, CacheMethod(SirLLM(decay=0.01), prompt=10, sinks=1))
    read(llama, ids, cache, chunk=10)
    assert min(first_heads(cache)[0][0][1:]) >= 30  # nine of the last round, whatever the others said


def test_without_logits_the_most_recent_stay(llama, ids, first_heads):
    cache = MemoryCache(llama, CacheMethod(SirLLM(), prompt=10))
    with torch.no_grad(), attached(llama):
        llama(ids, past_key_values=cache, logits_to_keep=1)
    assert first_heads(cache) == [[[*range(30, 40)]] * 2] * 3


def test_facts_in_predictable_text_are_recalled_where_streaming_forgets(small_model):
    task = tasks.topics(30, 64, 4, 11)
    found = {}
    for name in ("sirllm", "streaming-llm", "sliding-window", "random-eviction"):
        cache = MemoryCache(small_model, get_preset(name).at_share(0.25))
        read(small_model, task.context, cache)
        assert cache.held == [[15]] * 2
        cache.batch_repeat_interleave(4)
        with attached(small_model):
            right = ask(small_model, cache, task.questions.flatten(0, 1), task.answers.flatten(0, 1))
        found[name] = float(right.float().mean())
    assert found["sirllm"] > max(found["streaming-llm"], found["sliding-window"], found["random-eviction"])


def test_a_decay_above_one_is_refused():
    with pytest.raises(InvalidInput):
        SirLLM(decay=1.1)
