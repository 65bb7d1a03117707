"""What the tests of eviction share: a model of random weights, its text, and looks at one layer of made-up tensors."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached
from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries


@pytest.fixture(scope="session")
def llama():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def ids():
    return torch.randint(3, 99, (2, 40), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def look():
    """Make a LayerView of random keys, values and queries: B 2, H 2, G 2, D 4."""

    def make(held: int = 12, queries: int = 12, seed: int = 0, layer: int = 0, layers: int = 3, **more) -> LayerView:
        rng = torch.Generator().manual_seed(seed)
        keys, values = (torch.randn(2, 2, held, 4, generator=rng) for _ in range(2))
        query = torch.randn(2, 4, queries, 4, generator=rng)
        return LayerView(layer, layers, query, Entries(keys, values), held - queries, held, 0.5, **more)

    return make


@pytest.fixture
def after(llama, ids):
    """Return the cache that a method leaves of the ids, `sizes` tokens a call."""

    def read(method, sizes=(40,)):
        cache = MemoryCache(llama, method)
        with torch.no_grad(), attached(llama):
            at = 0
            for size in sizes:
                llama(ids[:, at : at + size], past_key_values=cache)
                at += size
        return cache

    return read


@pytest.fixture
def naive():
    """Return the attention of a look, (B, H, G, q, T), by loops."""

    def attention(view: LayerView):
        keys, query = view.entries.keys, view.query
        (batch, heads, held, _), queries = keys.shape, view.queries
        found = torch.zeros(batch, heads, view.groups, queries, held)
        for b in range(batch):
            for h in range(heads):
                for g in range(view.groups):
                    for q in range(queries):
                        until = view.start + q + 1
                        logits = keys[b, h, :until] @ query[b, h * view.groups + g, q] * view.scaling
                        found[b, h, g, q, :until] = logits.softmax(-1)
        return found

    return attention


@pytest.fixture
def answered():
    """Return the share of a task's questions that a model answers with a method's cache."""
    from mnemos.bench.kv.baseline import accuracy

    def share(model, method, task) -> float:
        with attached(model):
            return accuracy(model, task, lambda: MemoryCache(model, method))

    return share
