"""KIVI: the rounding of the paper, parts that never change, true bytes, and what it does to answers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.compress.bits import pack, unpack
from mnemos.activation.compress.kivi import Kivi, keydiff_kivi
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.bench.kv import tasks, tiny_models
from mnemos.errors import InvalidInput

SPLIT = (40, 1, 1, 1, 1, 1, 3)


def rounded(group, bits):
    """Round to the nearest of 2^b levels from the least to the largest, by hand."""
    low = group.min().half().float()
    scale = ((group.max() - low) / (2**bits - 1)).half().float()
    return torch.tensor([low + scale * round(float((x - low) / scale)) for x in group.tolist()])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("axis", [2, 3])
def test_numbers_are_rounded_by_groups_along_the_axis(bits, axis):
    x = torch.randn(1, 2, 10, 6, generator=torch.Generator().manual_seed(bits))
    found = unpack(pack(x, bits, axis, 4)).movedim(axis, -1)
    rows, expected = x.movedim(axis, -1), torch.empty(found.shape)
    for row, into in zip(rows.flatten(0, 2), expected.flatten(0, 2), strict=True):
        for at in range(0, len(row), 4):
            into[at : at + 4] = rounded(row[at : at + 4], bits)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_prompt_is_attended_to_in_full_and_rounded_afterwards(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    full, exact = read_in(model, CacheMethod(), long_ids, (48,))
    cache, found = read_in(model, CacheMethod(store=Kivi(8, residual=8, group=16)), long_ids, (48,))
    assert torch.equal(found, exact)
    for layer, whole in zip(cache.layers, full.layers, strict=True):
        assert torch.equal(layer.keys[:, :, 40:], whole.keys[:, :, 40:])
        assert 0 < (layer.keys - whole.keys)[:, :, :40].abs().max() < 0.02
        assert 0 < (layer.values - whole.values)[:, :, :40].abs().max() < 0.02


def test_parts_are_appended_by_groups_and_never_change(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    store = Kivi(2, residual=8, group=4)
    prompt, _ = read_in(model, CacheMethod(store=store), long_ids, (40,))
    later, _ = read_in(model, CacheMethod(store=store), long_ids, SPLIT)
    before, now = prompt.layers[1].groups[0].store, later.layers[1].groups[0].store
    assert [len(part.keys) for part in before.parts] == [32]
    assert [len(part.keys) for part in now.parts] == [36]
    assert torch.equal(before.parts[0].keys.codes, now.parts[0].keys.codes[:, :, :8])  # 8 groups of 4
    assert now.keys.shape[2] == 12  # up to residual + group - 1, and the last call
    assert (
        read_in(model, CacheMethod(store=store), long_ids, SPLIT[:-1])[0].layers[1].groups[0].store.keys.shape[2] == 9
    )
    assert later.held == [[48], [48]]


def test_what_eviction_left_is_what_is_rounded(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    alone, _ = read_in(model, CacheMethod(KeyDiff(), prompt=24), long_ids, (48,))
    both, _ = read_in(model, CacheMethod(KeyDiff(), prompt=24, store=Kivi(8, residual=0)), long_ids, (48,))
    for one, other in zip(alone.layers, both.layers, strict=True):
        entries = [layer.groups[0].store.read(torch.empty(0), 48) for layer in (one, other)]
        assert torch.equal(entries[0].position_ids, entries[1].position_ids.int())
        assert (entries[0].keys - entries[1].keys).abs().max() < 0.02


@pytest.mark.parametrize("method", [
    CacheMethod(store=Kivi(2, residual=8, group=4)), CacheMethod(KeyDiff(), prompt=24, store=Kivi(4, residual=4)),
])  # fmt: skip
def test_bytes_are_those_of_the_tensors(make_llama, long_ids, read_in, tensors, method):
    for sizes in (SPLIT[:1], SPLIT):
        cache, _ = read_in(make_llama(layers=2), method, long_ids, sizes)
        for layer in cache.layers:
            store = layer.groups[0].store
            assert store.nbytes == tensors(store) > 0
    assert cache.nbytes < read_in(make_llama(layers=2), CacheMethod(), long_ids, SPLIT)[0].nbytes / 2


def test_eight_bits_answer_as_the_full_cache_does_with_padding_and_beams(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    mask = torch.ones(2, 48, dtype=torch.long)
    mask[0, :9] = 0
    more = {"attention_mask": mask, "max_new_tokens": 8, "num_beams": 2, "do_sample": False, "pad_token_id": 0}
    expected = model.generate(long_ids, **more)
    with attached(model):
        cache = MemoryCache(model, CacheMethod(store=Kivi(8, residual=4, group=4)))
        assert torch.equal(model.generate(long_ids, past_key_values=cache, **more), expected)


def test_a_copy_and_a_crop_leave_what_was_there(make_llama, long_ids, read_in):
    model = make_llama(layers=2)
    cache, _ = read_in(model, CacheMethod(store=Kivi(2, residual=8, group=4)), long_ids, (40,))
    other, keys = cache.copy(), cache.layers[0].keys
    with torch.no_grad(), attached(model):
        model(long_ids[:, 40:], past_key_values=other)
    assert (cache.tokens_read, other.tokens_read) == (40, 48)
    other.crop(-8)
    assert torch.equal(other.layers[0].keys, keys)
    with pytest.raises(InvalidInput, match="larger residual"):
        cache.crop(-9)


def test_evicting_while_generating_is_refused(make_llama, long_ids, read_in):
    with pytest.raises(InvalidInput, match="decode"):
        read_in(make_llama(layers=2), CacheMethod(KeyDiff(), decode=10, store=Kivi(2, residual=0)), long_ids, (40, 1))


@pytest.mark.parametrize("given", [
    {"bits": 3}, {"value_bits": 5}, {"group": 0}, {"residual": -1}, {"keys": "head"},
])  # fmt: skip
def test_invalid_layouts_are_refused(given):
    with pytest.raises(InvalidInput):
        Kivi(**given)
    with pytest.raises(InvalidInput, match="evict"):
        Kivi.at_share(0.05)


def test_outlier_channels_break_keys_per_token_and_not_per_channel(small_model, answered_and_held):
    """The claim of the paper, on a model whose logits outliers leave as they are."""
    model, task = tiny_models.with_outliers(small_model, 30), tasks.key_value(15, 64, seed=31)
    right = {
        axis: answered_and_held(model, CacheMethod(store=Kivi(2, keys=axis, residual=0)), task)[0]
        for axis in ("channel", "token")
    }
    assert right["channel"] > 0.75
    assert right["token"] < 0.3


@pytest.mark.parametrize("share", [0.125, 0.0625])
def test_evicting_and_rounding_answers_more_than_either_at_the_same_bytes(small_model, answered_and_held, share):
    task = tasks.key_value(15, 64, seed=32)
    both, held = answered_and_held(small_model, keydiff_kivi(share), task)
    assert held <= share
    assert both > answered_and_held(small_model, CacheMethod(KeyDiff(), prompt=share), task)[0]
    assert both >= (0.9 if share == 0.125 else answered_and_held(small_model, Kivi.at_share(share), task)[0])


def test_a_prompt_of_uneven_groups_is_followed_by_whole_ones(make_llama, long_ids, read_in, entries_of):
    model = make_llama(layers=2)
    cache, logits = read_in(model, CacheMethod(store=Kivi(8, residual=0)), long_ids, (6, *[1] * 42))
    uneven, _ = read_in(model, CacheMethod(store=Kivi(8, residual=0, group=16)), long_ids, (24, *[1] * 24))
    full, expected = read_in(model, CacheMethod(), long_ids, (48,))
    assert (logits - expected).abs().max() < 0.05 * expected.abs().max()
    for one in (cache, uneven):
        assert len(entries_of(one)) == 48
        assert (entries_of(one).keys - entries_of(full).keys).abs().max() < 0.05 * entries_of(full).keys.abs().max()
