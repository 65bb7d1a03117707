"""SpeCache: a rough copy at hand, and what a guess of the next token wants in full, fetched before it is needed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.compress.bits import pack, unpack
from mnemos.activation.recall.specache import SpeCache, speculate
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


@pytest.fixture(scope="module")
def task():
    return tasks.repeated(20, 56, 2, seed=50).known()


@torch.no_grad()
def answer(model, task, method, guess=True):
    """Return the share of whole answers that are right, and the cache."""
    cache = MemoryCache(model, CacheMethod(store=method))
    with attached(model):
        told = [read(model, task.context, cache).argmax(-1, keepdim=True)]
        if guess:
            told = [speculate(model, told[0], cache, task.answers.shape[2])]
        while sum(t.shape[1] for t in told) < task.answers.shape[2]:
            told.append(model(told[-1], past_key_values=cache).logits[:, -1:].argmax(-1))
    return float((torch.cat(told, 1) == task.answers[:, 0]).all(1).float().mean()), cache


def full(model, task) -> float:
    return answer(model, task, CacheMethod().store, guess=False)[0]


def rate(cache) -> float:
    stores = [layer.groups[0].store for layer in cache.layers]
    return sum(s.hits for s in stores) / sum(s.wanted for s in stores)


def test_what_is_fetched_in_time_makes_up_for_two_bits(small_model, task):
    rough, _ = answer(small_model, task, SpeCache(bits=2, top=0, residual=8), guess=False)
    exact, cache = answer(small_model, task, SpeCache(bits=2, top=4, residual=8))
    assert exact >= full(small_model, task) - 0.03
    assert exact > rough
    assert rate(cache) > 0.8
    _, lagging = answer(small_model, task, SpeCache(bits=2, top=4, residual=8), guess=False)
    assert rate(lagging) < rate(cache) - 0.3


@torch.no_grad()
def test_a_call_reads_the_rough_copy_with_the_best_entries_of_the_call_before_in_full(small_model):
    ids = tasks.repeated(2, 40, 2, seed=51).context
    cache, full = (
        MemoryCache(small_model, CacheMethod(store=SpeCache(bits=2, top=3, residual=4))),
        MemoryCache(small_model),
    )
    for one in (cache, full):
        read(small_model, ids, one)
    store, keys = cache.layers[1].groups[0].store, full.layers[1].keys
    generator = torch.Generator().manual_seed(2)
    asked, later = (torch.randn(2, 2, 1, 32, generator=generator) for _ in range(2))
    rough = torch.cat((unpack(pack(keys[:, :, :36], 2, 2)), keys[:, :, 36:]), 2)
    assert torch.equal(store.read(asked, 39).keys, rough)
    found = store.read(later, 39).keys
    for row in range(2):
        logits = torch.stack([rough[row, 0] @ asked[row, g, 0] for g in range(2)]) * 32**-0.5
        best = logits.softmax(1).sum(0)[:36].topk(3).indices.tolist()
        for t in range(40):
            expected = keys if t in best else rough
            assert torch.equal(found[row, 0, t], expected[row, 0, t])


@torch.no_grad()
def test_all_entries_fetched_is_the_full_cache(small_model, task):
    found, _ = answer(small_model, task, SpeCache(bits=1, top=500, residual=0))
    assert found == full(small_model, task)


@torch.no_grad()
def test_bytes_are_those_of_the_tensors_and_nothing_is_lost(small_model, task, tmp_path):
    cache = MemoryCache(small_model, CacheMethod(store=SpeCache(bits=2, top=4, residual=8, folder=tmp_path)))
    full = MemoryCache(small_model)
    for one in (cache, full):
        read(small_model, task.context, one)
        with attached(small_model):
            for _ in range(3):
                small_model(task.context[:, 5:6], past_key_values=one)
    store = cache.layers[0].groups[0].store
    assert torch.equal(cache.layers[0].keys, full.layers[0].keys)
    rough = sum(p.codes.numel() + 2 * p.scale.numel() + 2 * p.low.numel() for pair in store.rough for p in pair)
    recent = store.recent.keys.untyped_storage().nbytes() * 2
    fetched = store.exact.untyped_storage().nbytes() + 8 * store.fetched.numel()
    assert store.fast_bytes == rough + recent + fetched
    assert store.fast_bytes < full.layers[0].nbytes / 2 <= store.slow_bytes
    assert store.moved == 3 * 4 * len(task)


@torch.no_grad()
def test_generated_tokens_are_packed_group_by_group_and_beams_move_rows(small_model, task):
    method = CacheMethod(store=SpeCache(bits=4, top=4, group=8, residual=4))
    with attached(small_model):
        cache = MemoryCache(small_model, method)
        small_model.generate(task.context, past_key_values=cache, max_new_tokens=21, do_sample=False, eos_token_id=None)
        store = cache.layers[0].groups[0].store
        assert [len(keys) for keys, _ in store.rough] == [task.context.shape[1] - 4, 8, 8]
        assert 4 <= len(store.recent) < 12
        beams = MemoryCache(small_model, method)
        small_model.generate(task.context[:2], past_key_values=beams, max_new_tokens=12, num_beams=3, do_sample=False)
    assert beams.layers[0].groups[0].store.held == beams.tokens_read


@torch.no_grad()
def test_packed_entries_cannot_be_removed_and_padding_is_refused(small_model, task):
    cache = MemoryCache(small_model, CacheMethod(store=SpeCache(residual=4)))
    read(small_model, task.context, cache)
    with pytest.raises(InvalidInput, match="packed"):
        cache.crop(-10)
    mask = torch.ones_like(task.context)
    mask[0, :3] = 0
    with pytest.raises(InvalidInput, match="padded"):
        read(small_model, task.context, MemoryCache(small_model, CacheMethod(store=SpeCache())), attention_mask=mask)
