"""ThinK: which channels are kept, that the others are freed, and what that does to answers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.compress.think import ThinK, ThinkStore
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput

SPLIT = (40, 1, 1, 1, 1, 4)


def queries(model, long_ids):
    """The queries of a prompt by layer, (B, G*H, q, D)."""
    found = {}

    class Look:
        def __call__(self, view):
            found[view.layer] = view.query
            return view.entries.positions()

    with torch.no_grad(), attached(model):
        model(long_ids, past_key_values=MemoryCache(model, CacheMethod(Look(), prompt=1)))
    return found


def test_channels_are_kept_by_the_norm_of_their_part_of_the_logits(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    full, _ = read_in(model, CacheMethod(), long_ids, (48,))
    cache, _ = read_in(model, CacheMethod(store=ThinK(0.4, window=8, residual=0)), long_ids, (48,))
    asked = queries(model, long_ids)
    for layer, (one, whole) in enumerate(zip(cache.layers, full.layers, strict=True)):
        for b in range(2):
            for h in range(2):
                keys = whole.keys[b, h]
                score = torch.zeros(keys.shape[1])
                for g in range(2):
                    query = asked[layer][b, 2 * h + g, -8:]
                    for i in range(keys.shape[1]):
                        score[i] += torch.outer(query[:, i], keys[:, i]).norm()
                stays = score.topk(int(0.6 * len(score))).indices
                expected = torch.zeros_like(keys)
                expected[:, stays] = keys[:, stays]
                assert torch.equal(one.keys[b, h], expected)
        assert torch.equal(one.values, whole.values)


def test_the_newest_keys_are_whole_and_packed_in_groups(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    full, _ = read_in(model, CacheMethod(), long_ids, SPLIT)
    cache, _ = read_in(model, CacheMethod(store=ThinK(0.5, residual=8, group=4)), long_ids, SPLIT)
    store, keys = cache.layers[0].groups[0].store, cache.layers[0].keys
    assert [part.keys.shape[2:] for part in store.parts] == [(36, 8)]
    assert ((keys != 0).sum(-1) == 8)[:, :, :36].all()
    assert torch.equal(keys[:, :, 36:], full.layers[0].keys[:, :, 36:])


@pytest.mark.parametrize("bits", [None, 4])
def test_pruned_channels_are_freed_and_bytes_are_those_of_the_tensors(make_llama, long_ids, read_in, tensors, bits):
    model = make_llama(layers=2)
    full, _ = read_in(model, CacheMethod(), long_ids, (48,))
    cache, _ = read_in(model, CacheMethod(store=ThinK(0.5, residual=8, bits=bits)), long_ids, (48,))
    store = cache.layers[0].groups[0].store
    assert store.nbytes == tensors(store)
    keys = full.layers[0].keys[:, :, :40]
    assert (
        store.parts[0].keys.nbytes == keys.nbytes // 2
        if bits is None
        else store.parts[0].keys.nbytes < keys.nbytes // 4
    )


def test_all_channels_and_beams_answer_as_the_full_cache_does(make_llama, long_ids):
    model = make_llama(layers=2)
    more = {"max_new_tokens": 8, "num_beams": 2, "do_sample": False, "pad_token_id": 0}
    expected = model.generate(long_ids, **more)
    with attached(model):
        cache = MemoryCache(model, CacheMethod(store=ThinK(0.0, residual=4, group=4)))
        assert torch.equal(model.generate(long_ids, past_key_values=cache, **more), expected)


def test_invalid_options_are_refused():
    for given in ({"ratio": 1.0}, {"window": 0}, {"by": "value"}, {"bits": 3}):
        with pytest.raises(InvalidInput):
            ThinK(**given)


def test_the_channels_that_queries_ask_for_answer_more_than_random_ones(small_model, answered_and_held):
    class Any(ThinkStore):
        def importance(self, keys):
            return torch.rand(keys.shape[0], keys.shape[1], keys.shape[3], generator=torch.Generator().manual_seed(0))

    task = tasks.key_value(15, 64, 8, seed=38)
    right, share = answered_and_held(small_model, CacheMethod(store=ThinK(0.4, residual=0)), task)
    assert 0.795 < share < 0.805
    assert right > 0.9
    assert (
        right
        > answered_and_held(small_model, CacheMethod(store=lambda setup: Any(ThinK(0.4, residual=0))), task)[0] + 0.1
    )


def test_thinner_keys_of_more_entries_answer_no_less_at_the_same_bytes(small_model, answered_and_held):
    task = tasks.key_value(20, 64, 8, seed=39)
    thin, held = answered_and_held(small_model, CacheMethod(KeyDiff(), prompt=0.25, store=ThinK(residual=0)), task)
    whole, room = answered_and_held(small_model, CacheMethod(KeyDiff(), prompt=0.25), task)
    assert held <= room + 0.005
    assert thin >= whole - 0.02
    known = tasks.key_value(4, 64, 8, seed=40).known()
    assert answered_and_held(small_model, ThinK.at_share(0.25), known)[0] > 0.95
