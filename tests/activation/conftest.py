"""What the tests of activation memory share: models of random weights,
their texts, caches that have read them, and views of made-up tensors.

Without torch and transformers nothing here is collected.
"""

from __future__ import annotations

import importlib.util

import pytest

if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
    import torch
    import transformers

    from mnemos.activation import MemoryCache, attached
    from mnemos.activation.base import LayerView
    from mnemos.activation.entries import Entries
else:
    collect_ignore_glob = ["*"]


# -- models and texts


@pytest.fixture(scope="session")
def make_llama():
    """Make a Llama of random weights, the same for the same arguments."""
    torch.set_num_threads(1)

    def make(heads: int = 4, kv: int = 2, layers: int = 3, width: int = 64, **more):
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=99, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=kv, max_position_embeddings=512, pad_token_id=0, **more,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()

    return make


@pytest.fixture(scope="session")
def llama(make_llama):
    """A Llama of random weights with three layers: do not change it, it is shared."""
    return make_llama()


@pytest.fixture(scope="session")
def ids():
    """Two texts of 40 tokens."""
    return torch.randint(3, 99, (2, 40), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def long_ids():
    """Two texts of 48 tokens."""
    return torch.randint(3, 99, (2, 48), generator=torch.Generator().manual_seed(1))


# -- caches that have read a text


@pytest.fixture(scope="session")
def read_in():
    """Return the cache that a method leaves of ids, `sizes` tokens a call, and the logits of all calls."""

    @torch.no_grad()
    def read(model, method, ids, sizes, **more):
        cache, logits, at = MemoryCache(model, method), [], 0
        with attached(model):
            for size in sizes:
                logits.append(model(ids[:, at : at + size], past_key_values=cache, **more).logits)
                at += size
        return cache, torch.cat(logits, 1)

    return read


@pytest.fixture(scope="session")
def after(llama, ids, read_in):
    """Return the cache that a method leaves of the ids, `sizes` tokens a call."""
    return lambda method, sizes=(40,): read_in(llama, method, ids, sizes)[0]


@pytest.fixture(scope="session")
def entries_of():
    """Return the entries of a layer of a cache, as its store reads them back."""
    return lambda cache, layer=0: cache.layers[layer].groups[0].store.read(torch.empty(0), cache.tokens_read)


@pytest.fixture(scope="session")
def positions(entries_of):
    """Return the positions of the entries of a layer, (B, H, T)."""
    return lambda cache, layer=0: entries_of(cache, layer).positions()


@pytest.fixture(scope="session")
def answered():
    """Return the share of a task's questions that a model answers with a method's cache."""
    from mnemos.bench.kv.answers import accuracy

    def share(model, method, task) -> float:
        with attached(model):
            return accuracy(model, task, lambda: MemoryCache(model, method))

    return share


@pytest.fixture(scope="session")
def answered_and_held(answered):
    """Return the share of a task's questions that is answered, and the bytes held as a share of a full cache's."""
    from mnemos.bench.kv.answers import prefill

    def both(model, method, task):
        right = answered(model, method, task)
        with attached(model):
            cache, full = MemoryCache(model, method), MemoryCache(model)
            for one in (cache, full):
                prefill(model, one, task.context)
        return right, cache.nbytes / full.nbytes

    return both


@pytest.fixture(scope="session")
def tensors():
    """Return the bytes of all tensors that an object of ours holds, each storage once."""

    def count(thing) -> int:
        held, known, waiting = {}, set(), [thing]
        while waiting:
            one = waiting.pop()
            if id(one) in known:
                continue
            known.add(id(one))
            if isinstance(one, torch.Tensor):
                held[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
            elif isinstance(one, (list, tuple)):
                waiting += one
            elif isinstance(one, dict):
                waiting += one.values()
            elif type(one).__module__.startswith("mnemos.activation"):
                waiting += vars(one).values()
        return sum(held.values())

    return count


# -- one layer, without a model


@pytest.fixture
def look():
    """Make a LayerView of random keys, values and queries: B 2, H 2, G 2, D 4."""

    def make(
        held: int = 12, queries: int = 12, seed: int = 0, layer: int = 0, layers: int = 3, valid=None, **more
    ) -> LayerView:
        rng = torch.Generator().manual_seed(seed)
        keys, values = (torch.randn(2, 2, held, 4, generator=rng) for _ in range(2))
        query = torch.randn(2, 4, queries, 4, generator=rng)
        entries = Entries(keys, values, valid=valid)
        return LayerView(layer, layers, query, entries, held - queries, held, 0.5, **more)

    return make


@pytest.fixture
def chosen():
    """Make a score (B 2, H 2, T) and what it keeps, in order."""

    def make(held: int = 12, count: int = 5, seed: int = 7):
        score = torch.rand(2, 2, held, generator=torch.Generator().manual_seed(seed))
        return score.topk(count, dim=2).indices.sort(2).values, score

    return make


@pytest.fixture
def naive():
    """Return the attention of a view, (B, H, G, q, T), by loops."""

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
