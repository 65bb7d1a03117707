"""SentenceKV: whole sentences, found by their mean key, loaded once for a sentence that is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.recall.sentencekv import SentenceKV
from mnemos.activation.recall.tiers import Tiers
from mnemos.bench.kv import tasks
from mnemos.bench.kv.vocabulary import PERIOD
from mnemos.errors import InvalidInput

SENTENCES = SentenceKV(size=16, top=6, ends=(PERIOD,), tokens=24, local=24, sinks=1, step=12, tiers=Tiers(12))


@pytest.fixture(scope="module")
def task():
    return tasks.records(2, 200, 6, seed=60)


@pytest.fixture
@torch.no_grad()
def cache(small_model, task):
    cache = MemoryCache(small_model, CacheMethod(store=SENTENCES))
    read(small_model, task.context, cache)
    return cache


def test_a_block_is_a_sentence(cache, task):
    for row in range(2):
        store = cache.layers[1].groups[0].store
        ends = {t + 1 for t in (task.context[row] == PERIOD).nonzero()[:, 0].tolist()}
        begins = (store.starts[row] + 1)[store.sizes[row] > 0].tolist()
        cut = {b for r in range(2) for b in (task.context[r] == PERIOD).nonzero()[:, 0].add(1).tolist()}
        assert all(b in cut or b == 1 or b - begins[i] == 16 for i, b in enumerate(begins[1:]))
        assert len(set(begins) & ends) > len(begins) / 2
        assert int(store.sizes.max()) <= 16


@torch.no_grad()
@pytest.mark.parametrize("chunk", [None, 7, 40])
def test_a_text_without_an_end_of_a_sentence_is_cut_all_the_same(small_model, chunk):
    cache = MemoryCache(small_model, CacheMethod(store=replace(SENTENCES, size=8, step=24)))
    read(small_model, tasks.key_value(2, 200, 4, seed=61).context, cache, chunk=chunk)
    store = cache.layers[1].groups[0].store
    assert len(store.near) < SENTENCES.local + 8 + 24  # what is read at last leaves the window with the next tokens
    assert store.sizes[store.sizes > 0].unique().tolist() == [8]


@torch.no_grad()
def test_the_best_sentences_are_loaded_whole_until_the_budget_is_full(cache, small_model):
    store = cache.layers[1].groups[0].store
    full = cache.layers[1].keys
    query = torch.randn(2, 2, 1, 32, generator=torch.Generator().manual_seed(4))
    cache.transcript.add_tokens(torch.full((2, 1), 7), cache.tokens_read)
    store.put(type(store.near)(full[:, :, :1], full[:, :, :1]))
    entries = store.read(query, cache.tokens_read)
    far = cache.rotary().shift(full, store.first - 1 - torch.arange(200).expand(2, 1, -1))
    for row in range(2):
        sizes = zip(store.starts[row].tolist(), store.sizes[row].tolist(), strict=True)
        spans = [(b + 1, b + 1 + n) for b, n in sizes if n]
        worth = [float(query[row, :, 0].mean(0) @ far[row, 0, b:e].mean(0)) for b, e in spans]
        best, room = [], 24
        for i in sorted(range(len(spans)), key=lambda i: -worth[i])[:6]:
            if spans[i][1] - spans[i][0] <= room:
                best.append(worth[i])
                room -= spans[i][1] - spans[i][0]
        shown = entries.position_ids[row, 0][entries.valid[row, 0]].tolist()
        loaded = [i for i, (b, e) in enumerate(spans) if b in shown[1:] and e <= store.first]
        assert sorted(worth[i] for i in loaded) == pytest.approx(sorted(best), abs=1e-4)  # some sentences are alike
        assert shown == [0, *(t for i in loaded for t in range(*spans[i])), *range(store.first, 201)]


@torch.no_grad()
def test_sentences_are_loaded_once_for_each_that_is_written(cache, small_model):
    store = cache.layers[1].groups[0].store
    with attached(small_model):
        for token in (9, 40, PERIOD, 10, 41, 42, PERIOD, 11):
            small_model(torch.full((2, 1), token), past_key_values=cache)
    assert store.memory["loaded"] == 3


@torch.no_grad()
def test_an_answer_is_the_same_after_rows_have_moved(cache, small_model, task):
    other = cache.copy()
    other.reorder_cache(torch.tensor([1, 0]))
    asked = task.questions[:, 0]
    with attached(small_model):
        one = small_model(asked, past_key_values=cache).logits
        two = small_model(asked.flip(0), past_key_values=other).logits
    assert (one - two.flip(0)).abs().max() <= 1e-5


def test_a_method_without_ends_is_refused():
    with pytest.raises(InvalidInput, match="ends is empty"):
        SentenceKV()


SEMANTIC = replace(SENTENCES, semantic=60, window=4)


@torch.no_grad()
def test_a_semantic_budget_keeps_what_the_last_queries_attend_to(small_model, task):
    cache, all_held = (MemoryCache(small_model, CacheMethod(store=s)) for s in (SEMANTIC, SENTENCES))
    for one in (cache, all_held):
        read(small_model, torch.cat((task.context, task.questions[:, 0]), 1), one)
    store, whole = cache.layers[0].groups[0].store, all_held.layers[0].groups[0].store
    assert store.slow.count == 60 < whole.slow.count
    assert cache.nbytes < all_held.nbytes
    entries = all_held.layers[0].groups[0].store.read(torch.empty(0), 0)
    positions = torch.arange(len(entries))
    keys = cache.rotary().shift(entries.keys, -positions.expand(2, 1, -1))
    kept = cache.rotary().shift(store.slow.split(store.slow.take(torch.arange(60).expand(2, 1, -1)))[0],
                                -(1 + torch.arange(60)).expand(2, 1, -1))  # fmt: skip
    for row in range(2):
        distance = (kept[row, 0, :, None] - keys[row, 0]).abs().amax(2)
        assert distance.amin(1).max() <= 1e-4, "what is kept was read"
    assert store.sizes.sum(1).tolist() == [60, 60]


@torch.no_grad()
def test_a_semantic_budget_for_all_changes_nothing(small_model, task):
    told = []
    for semantic in (None, 200):
        cache = MemoryCache(small_model, CacheMethod(store=replace(SENTENCES, semantic=semantic)))
        read(small_model, task.context, cache)
        with attached(small_model):
            told.append(small_model(task.questions[:, 0], past_key_values=cache).logits)
    assert torch.equal(*told)


@torch.no_grad()
def test_what_is_written_after_a_semantic_budget_follows_what_stayed(small_model, task):
    """Sentences cut after the prompt stand where they are read: keys turned to position 0 are those of the full text."""
    cache, full = MemoryCache(small_model, CacheMethod(store=SEMANTIC)), MemoryCache(small_model)
    read(small_model, task.context, cache)
    more = tasks.records(2, 70, 3, seed=61).context
    with attached(small_model):
        small_model(task.context, past_key_values=full)
        for one in more.split(7, 1):
            small_model(one, past_key_values=cache)
            small_model(one, past_key_values=full)
    store = cache.layers[0].groups[0].store
    later = store.slow.count - 60
    assert later > 20
    own = store.slow.split(store.slow.take(torch.arange(60, 60 + later).expand(2, 1, -1)))[0]
    moved = cache.rotary().shift(own, store.gone)
    text = full.layers[0].keys[:, :, 1 + 60 + store.gone :][:, :, :later]
    assert (moved - text).abs().max() <= 1e-4


@torch.no_grad()
def test_a_semantic_budget_still_answers(small_model, task):
    known = torch.cat((task.context, task.questions[:, 0]), 1)
    right = []
    for method in (SEMANTIC, SENTENCES):
        cache = MemoryCache(small_model, CacheMethod(store=method))
        read(small_model, known, cache)
        with attached(small_model):
            logits = small_model(task.questions[:, 0], past_key_values=cache).logits
        right.append(float((logits[:, -1].argmax(-1) == task.answers[:, 0, 0]).float().mean()))
    assert right[0] >= right[1]
