"""MiKV: which entries are precise, what the others become, and what that does to answers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.compress.bits import pack, unpack
from mnemos.activation.compress.kivi import Kivi
from mnemos.activation.compress.mikv import Demote, MiKV
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.bench.kv import tasks, tiny_models
from mnemos.errors import InvalidInput

SPLIT = (40, 1, 1, 1, 1, 4)


def held(cache, layer):
    return cache.layers[layer].groups[0].store.read(torch.empty(0), cache.tokens_read)


def queries(model, long_ids):
    """The largest |q| of each channel in layer 0, (B, H, 1, D), by hand."""
    found = {}

    class Look:
        def __call__(self, view):
            found[view.layer] = view.query
            return view.entries.positions()

    with torch.no_grad(), attached(model):
        model(long_ids, past_key_values=MemoryCache(model, CacheMethod(Look(), prompt=1)))
    query = found[0]
    return query.abs().reshape(len(long_ids), 2, -1, query.shape[3]).amax(2, keepdim=True)


@pytest.mark.parametrize("balance", [True, False])
def test_what_h2o_keeps_is_as_it_was_and_the_rest_is_balanced_and_rounded(make_llama, long_ids, read_in, balance):
    model = make_llama(layers=2)
    full = held(read_in(model, CacheMethod(), long_ids, (48,))[0], 0)
    kept = held(read_in(model, CacheMethod(H2O(), prompt=12), long_ids, (48,))[0], 0).position_ids.long()
    method = CacheMethod(H2O(), prompt=12, on_evict=Demote(), store=MiKV(2, balance=balance))
    found = held(read_in(model, method, long_ids, (48,))[0], 0)
    b = (queries(model, long_ids) / full.keys.abs().amax(2, keepdim=True)).sqrt().half() if balance else torch.ones(1)
    low = unpack(pack(full.keys * b, 2, 3)) / b, unpack(pack(full.values, 2, 3))
    for given, rounded, now in zip((full.keys, full.values), low, (found.keys, found.values), strict=True):
        index = kept[..., None].expand(-1, -1, -1, given.shape[3])
        expected = rounded.scatter(2, index, given.gather(2, index))
        assert torch.allclose(now, expected, atol=1e-5, rtol=2e-3)
    assert found.extra["precise"].sum(2).eq(12).all()


class Shuffled:
    """Another order at every call."""

    def __call__(self, view):
        return torch.rand(view.entries.keys.shape[:3], generator=torch.Generator().manual_seed(view.tokens_read))


@pytest.mark.parametrize("score", [H2O(), Shuffled()])
def test_while_generating_the_budget_stays_precise_and_none_is_promoted_again(make_llama, long_ids, read_in, score):
    model = make_llama(layers=2)
    method = CacheMethod(score, prompt=10, decode=10, recent=0.5, on_evict=Demote(), store=MiKV(2))
    before, now = (held(read_in(model, method, long_ids, sizes)[0], 1) for sizes in (SPLIT[:1], SPLIT))
    assert len(now) == 48
    assert now.extra["precise"].sum(2).eq(10).all()
    assert now.extra["precise"][:, :, -5:].all()
    low = ~before.extra["precise"]
    assert not now.extra["precise"][:, :, :40][low].any()
    assert torch.equal(now.keys[:, :, :40][low], before.keys[low])  # rounded once
    full = held(read_in(model, CacheMethod(), long_ids, (40,))[0], 1)
    demoted = before.extra["precise"] & ~now.extra["precise"][:, :, :40]
    error = (now.values[:, :, :40] - full.values).abs().amax(-1)[demoted]
    assert 0 < error.max() < full.values.abs().max() / 2  # each at its own place


@pytest.mark.parametrize("high", [None, 8])
def test_bytes_are_those_of_the_tensors(make_llama, long_ids, read_in, tensors, high):
    method = CacheMethod(H2O(), prompt=10, decode=10, on_evict=Demote(), store=MiKV(2, high))
    cache, _ = read_in(make_llama(layers=2), method, long_ids, SPLIT)
    for layer in cache.layers:
        store = layer.groups[0].store
        assert store.nbytes == tensors(store) > 0


def test_eight_bits_for_all_answer_as_the_full_cache_does_with_beams(make_llama, long_ids):
    model = make_llama(layers=2)
    more = {"max_new_tokens": 8, "num_beams": 2, "do_sample": False, "pad_token_id": 0}
    expected = model.generate(long_ids, **more)
    method = CacheMethod(H2O(), prompt=10, decode=10, on_evict=Demote(), store=MiKV(8, 8))
    with attached(model):
        assert torch.equal(model.generate(long_ids, past_key_values=MemoryCache(model, method), **more), expected)


def test_a_crop_removes_the_newest(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    cache, _ = read_in(model, CacheMethod(KeyDiff(), prompt=12, on_evict=Demote(), store=MiKV(2)), long_ids, (40,))
    other, before = cache.copy(), held(cache, 0)
    with torch.no_grad(), attached(model):
        model(long_ids[:, 40:], past_key_values=other)
    other.crop(-8)
    assert torch.equal(held(other, 0).keys, before.keys)


def test_eviction_actions_that_drop_are_refused(make_llama, long_ids, read_in):
    with pytest.raises(InvalidInput, match="Demote"):
        read_in(make_llama(layers=2), CacheMethod(H2O(), decode=10, store=MiKV(2)), long_ids, (40, 1))
    with pytest.raises(InvalidInput, match="bits"):
        MiKV(3)


def test_facts_that_were_not_important_are_still_answered(small_model, answered_and_held):
    """Against eviction by the same score, and against rounding all alike, at the same bytes."""
    task = tasks.key_value(15, 64, seed=33)
    right, share = answered_and_held(small_model, MiKV.at_share(0.125), task)
    assert share <= 0.125
    assert right > answered_and_held(small_model, H2O.at_share(0.125), task)[0] + 0.3
    assert right >= answered_and_held(small_model, CacheMethod(store=Kivi(2, keys="token", residual=0)), task)[0] - 0.02


def test_with_outliers_and_without_the_balancer_answers_are_lost(small_model, answered_and_held):
    model, task = tiny_models.with_outliers(small_model, 30), tasks.key_value(15, 64, seed=34)
    right = {
        balance: answered_and_held(
            model, CacheMethod(KeyDiff(), prompt=6, on_evict=Demote(), store=MiKV(2, balance=balance)), task
        )[0]
        for balance in (True, False)
    }
    assert right[True] > 0.75 > 0.4 > right[False]
