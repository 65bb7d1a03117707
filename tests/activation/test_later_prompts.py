"""A long call after the prompt is a prompt again: what every method holds then, and that shorter calls stay whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.compress.kivi import Kivi
from mnemos.activation.forget.adakv import AdaKV
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.reconstruction import Reconstruction
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.presets import all_presets
from mnemos.errors import InvalidInput

CALLS = (48, 1, 1, 48)  # a document, two tokens that were generated, another document
PROMPTS = [name for name, preset in all_presets().items() if preset.at_share(0.5).is_prompt(10**6)]


@pytest.fixture(scope="module")
def texts():
    """Two texts of 100 tokens."""
    return torch.randint(3, 99, (2, 100), generator=torch.Generator().manual_seed(5))


def at_half(name: str) -> CacheMethod:
    return replace(all_presets()[name].at_share(0.5), long_call=16)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_second_document_is_compressed_as_the_first(llama, texts, read_in, name):
    own, method = texts[:1], at_half(name)
    full, _ = read_in(llama, CacheMethod(), own, (98,))
    cache, logits = read_in(llama, method, own, CALLS)
    first, _ = read_in(llama, method, own, CALLS[:1])
    assert torch.isfinite(logits).all()
    assert cache.nbytes <= 0.53 * full.nbytes  # room for later entries included
    assert first.nbytes <= cache.nbytes
    whole, _ = read_in(llama, replace(method, long_call=None, decode=None), own, CALLS)
    assert method.on_evict.__class__.__name__ == "Demote" or cache.nbytes < whole.nbytes - 0.1 * full.nbytes
    again, _ = read_in(llama, method, own, (*CALLS, 1))
    assert again.tokens_read == 99


def test_what_was_held_and_what_is_new_are_ranked_together(llama, texts, read_in, entries_of):
    method = CacheMethod(KeyDiff(), prompt=20, long_call=16)
    before, _ = read_in(llama, method, texts, CALLS[:3])
    cache, _ = read_in(llama, method, texts, CALLS)
    whole, _ = read_in(llama, replace(method, long_call=None), texts, CALLS)
    assert before.layers[0].held == [22]
    for layer in range(3):
        entries = entries_of(whole, layer)
        assert len(entries) == 20 + 2 + 48
        keys = torch.nn.functional.normalize(entries.keys.float(), dim=-1)
        anchor = torch.nn.functional.normalize(keys.mean(2, keepdim=True), dim=-1)
        best = (keys * anchor).sum(-1).topk(20, largest=False).indices.sort(-1).values
        assert torch.equal(entries_of(cache, layer).positions(), entries.positions().gather(2, best))


def test_a_long_call_attends_to_all_of_itself_before_anything_is_evicted(llama, texts, read_in):
    method = CacheMethod(KeyDiff(), prompt=48, long_call=16)
    _, full = read_in(llama, CacheMethod(), texts, CALLS)
    cache, logits = read_in(llama, method, texts, CALLS)
    assert torch.allclose(logits, full, atol=1e-5)
    assert cache.layers[0].held == [48]


def test_short_calls_stay_whole(llama, texts, read_in):
    cache, _ = read_in(llama, CacheMethod(KeyDiff(), prompt=20, long_call=16), texts, (48, 16, 16))
    assert cache.layers[0].held == [52]
    cache, _ = read_in(llama, CacheMethod(KeyDiff(), prompt=20, long_call=16), texts, (48, 16, 17))
    assert cache.layers[0].held == [20]
    with pytest.raises(InvalidInput, match="long_call"):
        CacheMethod(prompt=20, long_call=0)


@settings(max_examples=15, deadline=None)
@given(calls=st.lists(st.integers(1, 24), min_size=1, max_size=4), share=st.sampled_from([0.25, 0.5, 12]))
def test_what_is_held_is_the_budget_and_what_was_read_since_the_last_long_call(llama, texts, read_in, calls, share):
    cache, _ = read_in(llama, CacheMethod(SnapKV(), prompt=share, long_call=8), texts[:1], calls)
    last = max((i for i, size in enumerate(calls) if size > 8 or i == 0), default=0)
    read, since = sum(calls[: last + 1]), sum(calls[last + 1 :])
    budget = share if isinstance(share, int) else max(1, share * read)
    assert max(cache.layers[0].held) <= min(budget, read) + since


def test_layers_and_heads_keep_their_portions(llama, texts, read_in):
    method = CacheMethod(SnapKV(window=4), prompt=20, allocation=AdaKV(), long_call=16)
    first, _ = read_in(llama, method, texts, CALLS[:1])
    cache, _ = read_in(llama, method, texts, CALLS)
    assert [len(held) for held in first.held] == [len(held) for held in cache.held]
    assert max(len(held) for held in first.held) > 1  # else this shows nothing
    for before, after in zip(first.held, cache.held, strict=True):
        assert all(0 <= one - other <= 1 for one, other in zip(before, after, strict=True))


def test_a_second_document_in_chunks_is_one_prompt(llama, texts, read_in, positions):
    method = CacheMethod(KeyDiff(), prompt=0.5, long_call=16)
    at_once, _ = read_in(llama, method, texts, (48, 40))
    cache = MemoryCache(llama, method)
    read(llama, texts[:, :48], cache)
    read(llama, texts[:, 48:88], cache, chunk=10)
    assert torch.equal(positions(cache), positions(at_once))


def test_the_context_is_read_again_after_each_document_and_only_what_is_new(llama, texts):
    seen = []

    class Counting(Reconstruction):
        def reread(self, model, tokens, views):
            seen.append(tokens.shape[1])
            super().reread(model, tokens, views)

    cache = MemoryCache(llama, replace(at_half("reconstruction"), score=Counting()))
    with torch.no_grad(), attached(llama):
        for first, end in ((0, 48), (48, 49), (49, 97)):
            llama(texts[:1, first:end], past_key_values=cache)
    assert seen == [48, 49]
    kept = [group.store.read(torch.empty(0), 97).memory("repeated") for group in cache.layers[1].groups]
    assert all(bool((one > 0).all()) for one in kept)


def test_packed_entries_are_unpacked_for_an_eviction_and_packed_again(llama, texts, read_in, entries_of):
    method = CacheMethod(KeyDiff(), prompt=40, store=Kivi(8, residual=0), long_call=16)
    plain = replace(method, store=CacheMethod().store)
    cache, other = (read_in(llama, one, texts, CALLS)[0] for one in (method, plain))
    store = cache.layers[0].groups[0].store
    assert store.frame is not None
    assert store.keys.shape[2] == 0
    assert cache.nbytes < 0.6 * other.nbytes
    mine, its = entries_of(cache), entries_of(other)
    same = (mine.positions() == its.positions()).all(1)[0]
    assert same.float().mean() > 0.9
    assert (mine.keys - its.keys)[:, :, same].abs().max() < 0.05 * its.keys.abs().max()


def test_going_back_behind_a_second_document_is_refused_and_before_it_was_evicted_from_it_is_not_there(llama, texts):
    method = CacheMethod(KeyDiff(), prompt=20, long_call=16)
    cache, other = MemoryCache(llama, method), MemoryCache(llama, method)
    with torch.no_grad(), attached(llama):
        for one in (cache, other):
            llama(texts[:, :48], past_key_values=one)
        cache.activate_past_recording()
        llama(texts[:, 48:80], past_key_values=cache)
        cache.crop(-32)  # as if it had never been read
        found, expected = (llama(texts[:, 90:94], past_key_values=one).logits for one in (cache, other))
        assert torch.equal(found, expected)
        llama(texts[:, :30], past_key_values=cache)
        with pytest.raises(InvalidInput, match="go back"):
            cache.crop(-50)
        llama(texts[:, :1], past_key_values=cache)  # settles what waited
        with pytest.raises(InvalidInput, match="go back"):
            cache.crop(-20)


def test_a_saved_cache_goes_on_with_its_portions(llama, texts, read_in, tmp_path):
    method = CacheMethod(SnapKV(window=4), prompt=20, allocation=AdaKV(), long_call=16)
    cache, _ = read_in(llama, method, texts, CALLS[:1])
    cache.save(tmp_path / "cache")
    loaded = MemoryCache.load(tmp_path / "cache", llama)
    with torch.no_grad(), attached(llama):
        for one in (cache, loaded):
            llama(texts[:, 48:90], past_key_values=one)
    assert cache.held == loaded.held


def test_a_second_document_that_ends_in_padding_is_refused(llama, texts):
    cache = MemoryCache(llama, CacheMethod(KeyDiff(), prompt=20, long_call=16))
    mask = torch.ones(2, 96, dtype=torch.long)
    mask[0, 90:] = 0
    with torch.no_grad(), attached(llama):
        llama(texts[:, :48], past_key_values=cache)
        with pytest.raises(InvalidInput, match="padding"):
            llama(texts[:, 48:96], past_key_values=cache, attention_mask=mask)
