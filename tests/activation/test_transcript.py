"""The transcript of a cache: every token once, its surprise as soon as it is known, rows that move along."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.plain import Plain


class Reader:
    """A store factory that reads the transcript."""

    needs_tokens = True

    def __call__(self, setup):
        return Plain()


@pytest.fixture(scope="module")
def model(make_llama):
    return make_llama(2, 1, layers=2, width=32)


@pytest.fixture(scope="module")
def ids(ids):
    return ids[:, :20]


@torch.no_grad()
def expected(model, ids):
    logp = model(ids).logits.log_softmax(-1)
    return -logp[:, :-1].gather(2, ids[:, 1:, None])[..., 0]


@torch.no_grad()
def test_surprise_is_that_of_the_model_however_the_text_is_read(model, ids):
    cache = MemoryCache(model, CacheMethod(store=Reader()))
    read(model, ids[:, :12], cache, chunk=5)
    with attached(model):
        for t in range(12, 20):
            model(ids[:, t : t + 1], past_key_values=cache)
    assert torch.equal(cache.transcript.tokens, ids)
    assert cache.transcript.surprise[:, 0].isnan().all()
    assert (cache.transcript.surprise[:, 1:] - expected(model, ids)).abs().max() <= 1e-4


@torch.no_grad()
def test_a_prompt_of_which_only_the_last_logits_were_made_has_no_surprise(model, ids):
    cache = MemoryCache(model, CacheMethod(store=Reader()))
    with attached(model):
        told = model.generate(ids, past_key_values=cache, max_new_tokens=5, do_sample=False)
    assert torch.equal(cache.transcript.tokens, told[:, :24])
    assert cache.transcript.surprise[:, :20].isnan().all()
    assert (cache.transcript.surprise[:, 20:] - expected(model, told)[:, 19:23]).abs().max() <= 1e-4


@torch.no_grad()
def test_cropped_tokens_and_moved_rows_are_followed(model, ids):
    cache = MemoryCache(model, CacheMethod(store=Reader()))
    read(model, ids, cache)
    cache.crop(-5)
    with attached(model):
        model(ids[:, :3], past_key_values=cache)
    assert torch.equal(cache.transcript.tokens, torch.cat((ids[:, :15], ids[:, :3]), 1))
    cache.reorder_cache(torch.tensor([1, 1]))
    assert torch.equal(cache.transcript.tokens[0], cache.transcript.tokens[1])
    twin = cache.copy()
    twin.reset()
    assert twin.transcript.tokens is None
    assert cache.transcript.tokens.shape == (2, 18)


@torch.no_grad()
def test_a_method_that_does_not_ask_records_nothing(model, ids):
    cache = MemoryCache(model)
    read(model, ids, cache)
    assert cache.transcript.tokens is None
