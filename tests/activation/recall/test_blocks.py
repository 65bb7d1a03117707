"""A past in blocks: exact while it fits or all is fetched; which blocks are fetched, where they stand, what that costs."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import DynamicCache

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.infllm import InfLLM
from mnemos.activation.recall.novel import NovelBlocks
from mnemos.activation.recall.tiered_store import report
from mnemos.activation.recall.tiers import FastTier, SlowTier, Tiers
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput

SOME = Blocks(size=4, top=2, local=6, sinks=2, step=5, far="one", tiers=Tiers(room=3))
ALL = Blocks(size=4, top=20, local=6, sinks=2, step=5, tiers=Tiers(room=20))


@pytest.fixture(scope="module")
def model(make_llama):
    return make_llama(layers=2)


@torch.no_grad()
def last(model, ids, blocks, chunk=None):
    cache = MemoryCache(model, CacheMethod(store=blocks))
    return read(model, ids, cache, chunk=chunk), cache


@torch.no_grad()
def test_a_text_that_fits_is_attended_to_exactly(model, ids):
    short = ids[:, :8]
    found, _ = last(model, short, replace(SOME, step=8))
    assert (found - model(short).logits[:, -1]).abs().max() <= 1e-5


@pytest.mark.parametrize(("heads", "kv"), [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("each_head", [False, True])
@torch.no_grad()
def test_when_all_blocks_are_fetched_in_a_row_attention_is_that_of_the_whole_text(
    make_llama, ids, heads, kv, each_head
):
    model = make_llama(heads, kv, layers=2)
    found, cache = last(model, ids, replace(ALL, each_head=each_head))
    assert (found - model(ids).logits[:, -1]).abs().max() <= 1e-4
    assert cache.held == [[40]] * 2


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"do_sample": False}])
@torch.no_grad()
def test_generation_from_a_whole_past_is_transformers_own(model, ids, options):
    more = {"max_new_tokens": 15, "do_sample": False} | options
    expected = model.generate(ids, **more)
    with attached(model):
        assert torch.equal(
            model.generate(ids, past_key_values=MemoryCache(model, CacheMethod(store=ALL)), **more), expected
        )


@torch.no_grad()
def test_reading_in_chunks_of_a_step_is_reading_at_once(model, ids):
    at_once, one = last(model, ids, SOME)
    in_chunks, other = last(model, ids, SOME, chunk=5)
    assert (at_once - in_chunks).abs().max() <= 1e-5
    assert one.layers[1].groups[0].store.fast.loads == other.layers[1].groups[0].store.fast.loads


@torch.no_grad()
def test_nothing_is_lost(model, ids):
    full = DynamicCache()
    model(ids, past_key_values=full)
    _, cache = last(model, ids, SOME)
    assert (cache.layers[0].keys - full.layers[0].keys).abs().max() <= 1e-5
    assert (cache.layers[0].values - full.layers[0].values).abs().max() <= 1e-5


@torch.no_grad()
def test_what_is_fetched_is_what_a_loop_over_blocks_finds_and_stands_where_it_should(model, ids):
    """The next token's query, against every key turned to the far place; blocks by their share of attention."""
    _, cache = last(model, ids, SOME)
    full = DynamicCache()
    model(ids, past_key_values=full)
    store, rotary = cache.layers[0].groups[0].store, cache.rotary()
    query = torch.randn(2, 4, 1, 16, generator=torch.Generator().manual_seed(5))
    store.put(type(store.near)(full.layers[0].keys[:, :, :1], full.layers[0].values[:, :, :1]))
    entries = store.read(query, 40)
    blocks, first = store.starts.shape[1], store.first
    assert first == 2 + 4 * blocks
    far = rotary.shift(full.layers[0].keys, first - 1 - torch.arange(40).expand(2, 2, -1))
    for row in range(2):
        shares = torch.zeros(blocks)
        for head in range(4):
            logits = torch.stack([query[row, head, 0] @ far[row, head // 2, t] for t in range(2, first)]) * 16**-0.5
            shares += logits.softmax(0).view(blocks, 4).sum(1)
        best = sorted(shares.topk(2).indices.tolist())
        positions = [0, 1] + [2 + 4 * b + i for b in best for i in range(4)]
        assert entries.position_ids[row, 0].tolist() == positions + list(range(first, 41))
        assert (entries.keys[row, :, :10] - far[row][:, positions]).abs().max() <= 1e-4
        assert torch.equal(entries.values[row, :, :10], full.layers[0].values[row][:, positions])


@torch.no_grad()
def test_bytes_are_those_of_the_tensors_and_the_fast_tier_does_not_grow_with_copies(model, ids):
    blocks = InfLLM(size=4, top=2, local=6, sinks=2, step=5, representatives=1, tiers=Tiers(3, "score"))
    _, cache = last(model, ids, blocks)
    store = cache.layers[0].groups[0].store
    slow = store.slow._data
    fast = (store.near.keys, store.near.values, store.near.extra["attended"], store.sinks.keys, store.sinks.values,
            store.summaries, store.present, store.starts, store.sizes, store.fast.data)  # fmt: skip
    assert store.slow_bytes == slow.untyped_storage().nbytes()
    assert store.fast_bytes == sum(t.untyped_storage().nbytes() for t in fast)
    assert store.fast.data.shape[2] == 3
    assert cache.nbytes == report(cache).fast_bytes + report(cache).slow_bytes


@torch.no_grad()
def test_a_slow_tier_on_disk_is_the_one_in_ram_and_its_files_go_with_it(model, ids, tmp_path):
    in_ram, _ = last(model, ids, SOME)
    on_disk, cache = last(model, ids, replace(SOME, tiers=Tiers(3, folder=tmp_path)))
    assert torch.equal(in_ram, on_disk)
    twin = cache.copy()
    assert len(list(tmp_path.iterdir())) == 4
    assert torch.equal(twin.layers[1].keys, cache.layers[1].keys)
    del cache, twin
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@torch.no_grad()
def test_a_copy_is_independent(model, ids):
    _, cache = last(model, ids, SOME)
    twin = cache.copy()
    with attached(model):
        expected = model(ids[:, :7], past_key_values=cache).logits
        for _ in range(2):
            assert torch.equal(model(ids[:, :7], past_key_values=twin.copy()).logits, expected)


@torch.no_grad()
def test_layers_that_do_not_fetch_hold_sinks_and_window(model, ids):
    _, cache = last(model, ids, replace(SOME, layers=(1,)))
    assert cache.layers[0].groups[0].store.slow_bytes == 0
    assert cache.held[0] == [2 + 6 + 5]
    assert cache.held[1] == [40]


def test_a_block_that_the_window_outdoes_is_not_fetched(model, ids):
    def chosen(least):
        logits, cache = last(model, ids, replace(SOME, least=least))
        return logits, [layer.groups[0].store.chosen for layer in cache.layers]

    (usual, blocks), (same, some), (_, none) = chosen(0.0), chosen(1e-6), chosen(0.99)
    assert all(torch.equal(a, b) for a, b in zip(blocks, some, strict=True))
    assert torch.equal(usual, same)
    assert all(bool((c == -1).all()) for c in none)


def test_the_share_of_a_block_is_that_of_a_softmax_over_summaries_and_window(model, ids):
    _, cache = last(model, ids, SOME)
    store = cache.layers[0].groups[0].store
    query = torch.randn(2, 4, 1, 16, generator=torch.Generator().manual_seed(5))
    found = store.share(query, store.turned(query))
    expected = torch.zeros_like(found)
    for row in range(2):
        for head in range(4):
            keys = store.summaries[row, head // 2].flatten(0, 1)
            far = store.turned(query)[row, head, 0] @ keys.T
            near = query[row, head, 0] @ store.near.keys[row, head // 2].T
            weights = (torch.cat((far, near)) * store.scaling).softmax(0)
            each = weights[: len(far)].view(found.shape[2], -1).sum(1)
            expected[row, 0] = torch.maximum(expected[row, 0], each)
    assert (found - expected).abs().max() <= 1e-6


def filled(blocks: int = 4) -> SlowTier:
    slow = SlowTier()
    keys = torch.arange(2 * blocks, dtype=torch.float32).view(1, 1, -1, 1)
    slow.append(keys, -keys)
    return slow


def fetch(fast: FastTier, slow: SlowTier, *blocks: int) -> list[float]:
    found = fast.fetch(slow, [[list(blocks)]], torch.arange(4)[None] * 2, 2, 1)
    return found[0, 0, :, 0, 0].tolist()


def test_lru_evicts_the_block_unused_longest():
    fast, slow = FastTier(room=2), filled()
    for block in (0, 1, 0, 2):
        assert fetch(fast, slow, block) == [2.0 * block]
    assert set(fast.where[0][0]) == {0, 2}
    assert (fast.hits, fast.loads) == (1, 3)


def test_score_evicts_the_block_with_the_least_decaying_attention():
    fast, slow = FastTier(room=2, eviction="score", decay=0.5), filled()
    for block, got in ((0, 1.0), (1, 0.1)):
        fetch(fast, slow, block)
        fast.attended([[[block]]], torch.tensor([[[got]]]))
    fetch(fast, slow, 2)
    assert set(fast.where[0][0]) == {0, 2}  # by "lru" block 0 would have been evicted
    assert fast.worth[0][0] == {0: 0.5, 2: 0.0}


def test_a_block_wanted_now_is_never_evicted_for_another():
    fast, slow = FastTier(room=2), filled()
    fetch(fast, slow, 0, 1)
    assert fetch(fast, slow, 3, 1) == [6.0, 2.0]
    assert set(fast.where[0][0]) == {1, 3}


def test_representatives_are_the_keys_attended_to_most_and_worth_is_their_mean_logit():
    blocks = InfLLM(representatives=2)
    keys = torch.arange(12.0).view(1, 1, 2, 3, 2)
    attended = torch.tensor([[[[0.1, 0.9, 0.5], [0.2, 0.1, -1.0]]]])
    chosen, there = blocks.summarise(keys, attended >= 0, attended)
    assert torch.equal(chosen, torch.stack((keys[:, :, 0, [1, 2]], keys[:, :, 1, [0, 1]]), 2))
    assert there.all()
    logits = torch.randn(1, 1, 2, 3, 2, 2)
    expected = [sum(logits[0, 0, g, :, n].mean() for g in range(2)) for n in range(2)]
    assert torch.allclose(blocks.score(logits)[0, 0], torch.stack(expected))


@torch.no_grad()
def test_what_is_padded_budgeted_or_too_far_back_is_refused(model, ids):
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    with pytest.raises(InvalidInput, match="padded"):
        read(model, ids, MemoryCache(model, CacheMethod(store=SOME)), attention_mask=mask)
    with pytest.raises(InvalidInput, match="budgets"):
        read(model, ids, MemoryCache(model, CacheMethod(prompt=5, store=SOME)))
    _, cache = last(model, ids, SOME)
    with pytest.raises(InvalidInput, match="only later ones can be removed"):
        cache.crop(-30)
    with pytest.raises(InvalidInput, match="room"):
        Blocks(top=5, tiers=Tiers(room=4))


def answered(model, task, blocks) -> float:
    right = 0
    with attached(model), torch.no_grad():
        cache = MemoryCache(model, CacheMethod(store=blocks))
        read(model, task.context, cache)
        for turn in range(task.questions.shape[1]):
            asked, told = cache.copy(), task.questions[:, turn]
            fine = torch.ones(len(task), dtype=torch.bool)
            for step in range(task.answers.shape[2]):
                told = model(told, past_key_values=asked).logits[:, -1:].argmax(-1)
                fine &= told[:, 0] == task.answers[:, turn, step]
            right += int(fine.sum())
    return right / task.answers[..., 0].numel()


SMALL = {"size": 8, "top": 1, "local": 32, "sinks": 1, "step": 16, "tiers": Tiers(8)}


@pytest.mark.parametrize("blocks", [Blocks(**SMALL), NovelBlocks(**SMALL, representatives=2)])
def test_key_value_pairs_are_found_at_sixteen_times_the_trained_length(small_model, blocks):
    task = tasks.key_value(20, 1024, 8, seed=31)
    assert answered(small_model, task, replace(blocks, layers=())) < 0.2
    assert answered(small_model, task, blocks) >= 0.9


@pytest.mark.parametrize("depth", [0.0, 1.0])
def test_a_passkey_is_found_at_any_depth_of_sixteen_times_the_trained_length(small_model, depth):
    assert answered(small_model, tasks.passkey(20, 1024, depth, seed=32), Blocks(**SMALL, least=0.5)) >= 0.9
