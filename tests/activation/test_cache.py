"""The cache inside transformers: equal to its own cache without eviction, and exact about what is evicted."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import Cache, DynamicCache, MistralConfig, MistralForCausalLM

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.knorm import KeyNorm
from mnemos.activation.forget.sirllm import SirLLM
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.presets import get_preset
from mnemos.errors import InvalidInput, NotFound
from tests.activation.chunks import logits


@pytest.mark.parametrize(("heads", "kv"), [(4, 4), (4, 2), (4, 1)])
def test_without_a_method_logits_are_those_of_transformers_own_cache(make_llama, ids, heads, kv):
    model = make_llama(heads, kv)
    expected = logits(model, ids, DynamicCache())
    with attached(model):
        cache = MemoryCache(model)
        assert (logits(model, ids, cache) - expected).abs().max() <= 1e-5
    assert cache.held == [[40]] * 3
    held = sum(t.numel() * 4 for layer in cache.layers for t in (layer.keys, layer.values))
    assert held <= cache.nbytes <= held * 48 / 40  # room for eight more


def test_padded_rows_equal_transformers_own(llama, ids):
    mask = torch.ones(2, 40, dtype=torch.long)
    mask[0, :7] = 0
    expected = logits(llama, ids, DynamicCache(), mask=mask)
    with attached(llama):
        found = logits(llama, ids, MemoryCache(llama), mask=mask)
    assert (found - expected)[1].abs().max() <= 1e-5
    assert (found - expected)[0, 7:].abs().max() <= 1e-5


def test_a_padded_row_equals_the_row_alone_after_eviction(llama, ids):
    mask = torch.ones(2, 40, dtype=torch.long)
    mask[0, :10] = 0
    with attached(llama):
        both = logits(llama, ids, MemoryCache(llama, CacheMethod(prompt=15, sinks=2)), (30, 1, 9), mask)
        alone = logits(llama, ids[:1, 10:], MemoryCache(llama, CacheMethod(prompt=15, sinks=2)), (20, 1, 9))
    assert (both[:1, 30:] - alone[:, 20:]).abs().max() <= 1e-5


@pytest.fixture(scope="module")
def sliding():
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=99, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=8,
    )  # fmt: skip
    return MistralForCausalLM(config).eval()


def test_sliding_windows_equal_transformers_own(sliding, ids):
    expected = logits(sliding, ids, DynamicCache(config=sliding.config))
    with attached(sliding):
        cache = MemoryCache(sliding)
        assert (logits(sliding, ids, cache) - expected).abs().max() <= 1e-5
    assert cache.held == [[7]] * 2


def test_sinks_and_the_most_recent_stay_in_order(llama, ids):
    with attached(llama):
        cache = MemoryCache(llama, CacheMethod(prompt=8, decode=8, sinks=2))
        for end in (20, *range(21, 41)):
            llama(ids[:, cache.tokens_read : end], past_key_values=cache)
            positions = cache.layers[0].groups[0].store.entries.position_ids
            assert positions.tolist() == [[[0, 1, *range(end - 6, end)]] * 2] * 2
    assert cache.tokens_read == 40


def test_evicted_entries_are_freed(llama, ids):
    with attached(llama):
        full, small = MemoryCache(llama), MemoryCache(llama, CacheMethod(prompt=10))
        for cache in (full, small):
            llama(ids, past_key_values=cache)
    for layer in small.layers:
        entries = layer.groups[0].store.entries
        assert entries.keys.untyped_storage().nbytes() == full.layers[0].keys.untyped_storage().nbytes() // 4
        assert layer.nbytes == sum(t.untyped_storage().nbytes() for t in entries.tensors().values())


def test_eviction_equals_masking(llama, ids):
    """A dropped entry has the same effect as one that a mask hides from then on."""
    with attached(llama):
        cache = MemoryCache(llama, CacheMethod(prompt=10, sinks=3))
        llama(ids[:, :20], past_key_values=cache)
        found = llama(ids[:, 20:], past_key_values=cache).logits
    mask = torch.ones(20, 40, dtype=torch.bool).tril(20)
    mask[:, 3:13] = False
    full = DynamicCache()
    llama(ids[:, :20], past_key_values=full)
    expected = llama(ids[:, 20:], past_key_values=full, attention_mask=mask.expand(2, 1, -1, -1)).logits
    assert (found - expected).abs().max() <= 1e-5


def test_reindexed_positions_are_those_of_a_text_without_what_was_evicted(make_llama, ids):
    """In a model of one layer keys do not depend on what stood before: dropping and closing up is never having read."""
    model = make_llama(layers=1)
    with attached(model):
        cache = MemoryCache(model, CacheMethod(prompt=10, sinks=3, reindex_positions=True))
        model(ids[:, :20], past_key_values=cache)
        found = model(ids[:, 20:24], past_key_values=cache).logits
    short = torch.cat((ids[:, :3], ids[:, 13:24]), 1)
    assert (found - model(short).logits[:, -4:]).abs().max() <= 1e-4


def test_a_later_token_of_a_chunk_never_changes_an_earlier_one(llama, ids):
    changed = ids.clone()
    changed[:, -1] = 50
    with attached(llama):
        found = [
            logits(llama, x, MemoryCache(llama, CacheMethod(prompt=6, decode=12, sinks=2)), (20, 20))
            for x in (ids, changed)
        ]
    assert torch.equal(found[0][:, :-1], found[1][:, :-1])
    assert not torch.equal(found[0][:, -1], found[1][:, -1])


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"do_sample": False}, {"do_sample": True}])
def test_generate_equals_transformers_own(llama, ids, options):
    more = {"max_new_tokens": 12, "pad_token_id": 0} | {"do_sample": False} | options
    torch.manual_seed(3)
    expected = llama.generate(ids, **more)
    torch.manual_seed(3)
    with attached(llama):
        assert torch.equal(llama.generate(ids, past_key_values=MemoryCache(llama), **more), expected)
        dropping = MemoryCache(llama, CacheMethod(prompt=0.5, decode=12, sinks=2))
        assert llama.generate(ids, past_key_values=dropping, **more).shape == expected.shape
    assert dropping.held == [[12]] * 3


GOING_BACK = [
    CacheMethod(), CacheMethod(prompt=9, sinks=2), CacheMethod(decode=9, sinks=2), CacheMethod(H2O(), prompt=9, decode=8),
    CacheMethod(SirLLM(), prompt=12, decode=8), CacheMethod(SnapKV(), prompt=0.5, decode=0.5, interval=2),
]  # fmt: skip


@pytest.mark.skipif(
    not hasattr(Cache, "activate_past_recording"), reason="transformers 4 does not say that it goes back"
)
def test_assisted_decoding_equals_greedy_and_works_where_entries_are_evicted(llama, make_llama, ids):
    helper = make_llama(2, 1, 1, 32)
    more = {"max_new_tokens": 12, "pad_token_id": 0, "do_sample": False}
    expected = llama.generate(ids[:1], **more)
    with attached(llama):
        for method in GOING_BACK:
            cache = MemoryCache(llama, method)
            found = llama.generate(ids[:1], past_key_values=cache, assistant_model=helper, **more)
            assert 40 < found.shape[1] <= 52
            assert torch.equal(found, expected) or not method.keeps_all
            if isinstance(method.decode, int):
                assert cache.held == [[method.decode]] * 3


@pytest.mark.parametrize("method", GOING_BACK, ids=range(len(GOING_BACK)))
def test_what_is_cropped_away_after_a_call_was_never_read(llama, ids, method):
    """A draft of which the last three tokens are rejected, in the prompt's call and in a later one."""
    caches = [MemoryCache(llama, method) for _ in range(2)]
    caches[0].activate_past_recording()
    with attached(llama), torch.no_grad():
        for first, count in ((0, 20), (20, 4), (24, 1)):
            llama(torch.cat((ids[:, first : first + count], ids[:, :3]), 1), past_key_values=caches[0])
            caches[0].crop(-3)
            llama(ids[:, first : first + count], past_key_values=caches[1])
            assert caches[0].held == caches[1].held
        found, expected = (llama(ids[:, 25:30], past_key_values=cache).logits for cache in caches)
    assert (found - expected).abs().max() <= 1e-5


def test_a_cache_that_has_evicted_does_not_go_back(llama, ids):
    cache = MemoryCache(llama, CacheMethod(decode=10))
    with attached(llama):
        llama(ids, past_key_values=cache)
        with pytest.raises(InvalidInput, match="evicted"):
            cache.crop(-3)
    assert cache.tokens_read == 40


@pytest.mark.parametrize("recording", [False, True])
def test_a_sliding_window_goes_back_as_if_it_had_not_read_or_is_refused(sliding, ids, recording):
    cache, other = MemoryCache(sliding), MemoryCache(sliding)
    with attached(sliding), torch.no_grad():
        if recording:
            cache.activate_past_recording()
        sliding(ids[:, :25], past_key_values=cache)
        if not recording:
            with pytest.raises(InvalidInput, match="cannot go back"):
                cache.crop(-5)
            return
        cache.crop(-5)
        sliding(ids[:, :20], past_key_values=other)
        found, expected = (sliding(ids[:, 20:30], past_key_values=c).logits for c in (cache, other))
    assert (found - expected).abs().max() <= 1e-5


def test_padding_is_never_recent_and_behind_a_text_it_is_refused(llama, ids):
    mask = torch.ones(2, 30, dtype=torch.long)
    mask[0, 20:] = 0
    with attached(llama), pytest.raises(InvalidInput, match="pad on the left"):
        llama(ids[:, :30], past_key_values=MemoryCache(llama, CacheMethod(prompt=8, recent=4)), attention_mask=mask)
    entries = Entries(torch.zeros(1, 1, 6, 2), torch.zeros(1, 1, 6, 2))
    entries.valid = torch.tensor([[[True, True, True, True, False, False]]])
    view = LayerView(0, 1, torch.zeros(1, 1, 6, 2), entries, 0, 6, 1.0)
    method = CacheMethod(KeyNorm(), prompt=2, recent=2)
    assert method.keep(method.rank(view, 2), 2).tolist() == [[[2, 3]]]


def test_a_mask_that_hides_what_was_read_as_text_is_refused(llama, ids):
    mask = torch.ones(2, 21, dtype=torch.long)
    mask[0, 7] = 0
    cache = MemoryCache(llama)
    with attached(llama):
        llama(ids[:, :20], past_key_values=cache)
        with pytest.raises(InvalidInput, match="something else"):
            llama(ids[:, 20:21], past_key_values=cache, attention_mask=mask)
        cache = MemoryCache(llama)
        llama(ids[:, :20], past_key_values=cache, attention_mask=mask[:, :20])
        cache.reorder_cache(torch.tensor([1, 0]))
        llama(ids[:, 20:21], past_key_values=cache, attention_mask=mask.flip(0))


def test_turns_of_different_lengths_may_be_padded_between_texts(llama, ids):
    """The second turn is padded on its left: row 0 has a hole, and is still what the row alone would be."""
    mask = torch.ones(2, 32, dtype=torch.long)
    mask[0, :6] = 0
    mask[0, 20:24] = 0
    with attached(llama):
        both = logits(llama, ids[:, :32], MemoryCache(llama, CacheMethod(prompt=8, recent=4)), (20, 12), mask)
        kept = torch.cat((ids[:1, 6:20], ids[:1, 24:32]), 1)
        alone = logits(llama, kept, MemoryCache(llama, CacheMethod(prompt=8, recent=4)), (14, 8))
    assert (both[:1, 24:] - alone[:, 14:]).abs().max() <= 1e-5


def test_reading_in_chunks_equals_reading_at_once(llama, ids):
    with attached(llama):
        expected = llama(ids, past_key_values=(whole := MemoryCache(llama, CacheMethod(prompt=10, sinks=2)))).logits[
            :, -1
        ]
    parts = MemoryCache(llama, CacheMethod(prompt=10, sinks=2))
    assert (read(llama, ids, parts, chunk=7) - expected).abs().max() <= 1e-5
    assert parts.held == whole.held == [[10]] * 3


def test_reading_in_chunks_under_a_decode_budget_never_holds_more_than_both(llama, ids):
    seen = []

    class Spy:
        def __call__(self, view):
            return view.entries.positions()

        def observe(self, view):
            seen.append(len(view.entries))

    cache = MemoryCache(llama, CacheMethod(Spy(), decode=9))
    read(llama, ids, cache, chunk=6)
    assert max(seen) <= 9 + 6
    assert cache.held == [[9]] * 3


def test_a_shared_budget_may_differ_by_head_and_adds_up(llama, ids):
    class Uneven:
        def need(self, view, score):
            return torch.tensor([1.0, 3.0])

        def counts(self, needs, each, held):
            return [torch.tensor([each - 5, each + 5]) for _ in needs]

    with attached(llama):
        cache, full = MemoryCache(llama, CacheMethod(prompt=20, allocation=Uneven())), MemoryCache(llama)
        for one in (cache, full):
            llama(ids, past_key_values=one)
        assert cache.held == [[15, 25]] * 3
        for head, group in enumerate(cache.layers[2].groups):
            assert group.heads.tolist() == [head]
            assert torch.equal(group.store.entries.keys[:, 0], full.layers[2].keys[:, head, -(15, 25)[head] :])
        assert torch.isfinite(llama(ids[:, :1], past_key_values=cache).logits).all()
    assert cache.held == [[16, 26]] * 3


def test_a_copy_is_independent(llama, ids):
    with attached(llama):
        cache = MemoryCache(llama, CacheMethod(prompt=10))
        llama(ids, past_key_values=cache)
        other, keys = cache.copy(), cache.layers[0].keys.clone()
        llama(ids[:, :5], past_key_values=other)
    assert (cache.tokens_read, other.tokens_read) == (40, 45)
    assert torch.equal(cache.layers[0].keys, keys)


def test_a_cache_that_is_not_attached_is_refused_and_the_model_is_restored(llama, ids):
    before = llama.config._attn_implementation
    with pytest.raises(InvalidInput, match="attached"):
        llama(ids, past_key_values=MemoryCache(llama))
    with pytest.raises(RuntimeError, match="boom"), attached(llama):
        raise RuntimeError("boom")
    assert llama.config._attn_implementation == before


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": 0.0},
        {"prompt": 1.5},
        {"prompt": True},
        {"decode": True},
        {"prompt": 0},
        {"decode": 0},
        {"interval": 0},
    ],
)
def test_invalid_budgets_are_refused(given):
    with pytest.raises(InvalidInput):
        CacheMethod(**given)


def test_an_unknown_preset_names_its_neighbours():
    with pytest.raises(NotFound, match="no method 'snapvk'.*snapkv"):
        get_preset("snapvk")


def test_a_method_without_a_preset_says_so():
    with pytest.raises(NotFound, match="no preset"):
        get_preset("compresskv")
