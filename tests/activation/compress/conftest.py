"""What the tests of compressing stores share: a model of random weights with its text, and bytes counted by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached


@pytest.fixture(scope="session")
def llama():
    torch.set_num_threads(1)

    def make(heads: int = 4, kv: int = 2, layers: int = 2, width: int = 64):
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=99, hidden_size=width, intermediate_size=128, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=kv, max_position_embeddings=512,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()

    return make


@pytest.fixture(scope="session")
def ids():
    return torch.randint(3, 99, (2, 48), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def after():
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


@pytest.fixture
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


@pytest.fixture
def answered():
    """Return the share of a task's questions that a model answers with a method's cache, and its share of full bytes."""
    from mnemos.bench.kv.baseline import accuracy, prefill

    def share(model, method, task):
        with attached(model):
            right = accuracy(model, task, lambda: MemoryCache(model, method))
            cache, full = MemoryCache(model, method), MemoryCache(model)
            for one in (cache, full):
                prefill(model, one, task.context)
        return right, cache.nbytes / full.nbytes

    return share
