"""4 bits beside eviction while generating: the same entries as without rounding, each rounded once, and merges refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.compress.bits import pack, unpack
from mnemos.activation.compress.per_token import PerToken
from mnemos.activation.consolidate.merge import Merge
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.random_eviction import RandomEviction
from mnemos.errors import InvalidInput

STEPS = (30, *[1] * 40)


@pytest.fixture(scope="module")
def texts():
    """Two texts of 100 tokens."""
    return torch.randint(3, 99, (2, 100), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("score", [RandomEviction(), None])
def test_what_is_held_is_what_was_read_rounded_once(make_llama, texts, read_in, entries_of, score):
    model = make_llama(layers=1)  # of one layer: what is read does not depend on what was rounded
    budget = {"prompt": 20, "decode": 20, "sinks": 2, "interval": 5}
    packed, _ = read_in(model, CacheMethod(score, store=PerToken(4), **budget), texts, STEPS)
    plain, _ = read_in(model, CacheMethod(score, **budget), texts, STEPS)
    mine, its = entries_of(packed), entries_of(plain)
    assert torch.equal(mine.positions(), its.positions())
    store = packed.layers[0].groups[0].store
    count = len(store.tier)
    for one, other in ((mine.keys, its.keys), (mine.values, its.values)):
        once = unpack(pack(other[:, :, :count].contiguous(), 4, 3, 32))
        assert torch.allclose(one[:, :, :count], once, atol=1e-6)
        assert torch.equal(one[:, :, count:], other[:, :, count:])


def test_a_share_is_kept_to_in_prompts_and_while_generating(llama, texts, read_in):
    method = CacheMethod(KeyDiff(), prompt=0.125, decode=0.125, store=PerToken(4))
    cache, _ = read_in(llama, method, texts, (60,))
    full, _ = read_in(llama, CacheMethod(), texts, (60,))
    assert cache.nbytes <= 0.125 * full.nbytes
    assert min(cache.held[0]) > 0.5 * 60  # four times as many as without rounding
    later, _ = read_in(llama, method, texts, (60, *[1] * 33))
    assert max(later.held[0]) <= 0.58 * 93
    assert min(later.held[0]) > 0.45 * 93


def test_rows_crops_and_copies(llama, texts, read_in, entries_of):
    method = CacheMethod(KeyDiff(), prompt=20, store=PerToken(8))
    cache, _ = read_in(llama, method, texts, (40, 1, 1, 1))
    other = cache.copy()
    other.reorder_cache(torch.tensor([1, 0]))
    assert torch.equal(entries_of(other).keys, entries_of(cache).keys[[1, 0]])
    cache.crop(-2)
    assert len(entries_of(cache)) == 21
    with torch.no_grad(), attached(llama):
        llama(texts[:, 41:43], past_key_values=cache)
    assert torch.equal(entries_of(cache).positions(), entries_of(other).positions()[[1, 0]])


def test_merging_into_packed_entries_is_refused(llama, texts):
    cache = MemoryCache(llama, CacheMethod(KeyDiff(), prompt=20, decode=20, on_evict=Merge(), store=PerToken(4)))
    with torch.no_grad(), attached(llama):
        llama(texts[:, :40], past_key_values=cache)
        with pytest.raises(InvalidInput, match="merged"):
            llama(texts[:, 40:60], past_key_values=cache)
