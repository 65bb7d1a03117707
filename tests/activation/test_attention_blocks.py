"""Long calls are looked at in blocks: the same attention, and the same notes of it, as query by query."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import attention
from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.activation.forget.lra import track


def made(seed, queries, gaps, padded):
    rng = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(2, 2, 40, 8, generator=rng) for _ in range(2))
    valid = torch.rand(2, 2, 40, generator=rng) > 0.2 if padded else None
    positions = None
    if gaps:
        positions = (torch.arange(40) + torch.randint(0, 3, (2, 2, 40), generator=rng).cumsum(2)).int()
        positions[:, :, -queries:] = torch.arange(int(positions.max()) - queries + 1, int(positions.max()) + 1).int()
    read = 40 if positions is None else int(positions.max()) + 1
    entries = Entries(keys, values, positions, valid)
    return LayerView(0, 1, torch.randn(2, 4, queries, 8, generator=rng), entries, read - queries, read, 0.35)


CASES = [(queries, gaps, padded) for queries in (1, 17, 40) for gaps in (False, True) for padded in (False, True)]


@pytest.mark.parametrize(("queries", "gaps", "padded"), CASES)
def test_blocks_add_up_to_all_weights(monkeypatch, queries, gaps, padded):
    view = made(1, queries, gaps, padded)
    expected = view.weights().sum(3)
    monkeypatch.setattr(attention, "BLOCK", 100)
    assert torch.allclose(view.attention_mass(), expected, atol=1e-5)
    assert view.attention_mass() is view.attention_mass()  # computed once for all who ask


@pytest.mark.parametrize("threshold", [None, 0.02])
@pytest.mark.parametrize(("queries", "gaps", "padded"), CASES)
def test_uses_and_gaps_are_those_of_a_walk_through_the_queries(monkeypatch, queries, gaps, padded, threshold):
    view = made(2, queries, gaps, padded)
    weights, positions = view.weights().amax(2), view.entries.positions()
    last, gap = torch.zeros(2, 2, 40), torch.zeros(2, 2, 40)
    last[positions >= view.start] = positions[positions >= view.start] + 1.0
    for i in range(queries):
        later = positions < view.start + i
        if padded:
            later &= view.entries.valid
        level = 1 / (later.sum(2, keepdim=True) + 1) if threshold is None else threshold
        used, now = later & (weights[:, :, i] > level), view.start + i + 1.0
        gap = torch.where(used, torch.maximum(gap, now - last), gap)
        last = torch.where(used, now, last)
    monkeypatch.setattr(attention, "BLOCK", 100)
    found, without, gaps_found = (torch.zeros(2, 2, 40) for _ in range(3))
    track(view, threshold, found, gaps_found)
    track(view, threshold, without)
    assert torch.equal(found, last)
    assert torch.equal(without, last)
    assert torch.equal(gaps_found, gap)


def test_keys_that_close_up_are_all_turned_alike_whether_or_not_heads_agree(make_llama, ids):
    """Against turning every key by its own distance."""
    from mnemos.activation import CacheMethod, MemoryCache, attached
    from mnemos.activation.forget.random_eviction import RandomEviction

    model = make_llama(layers=2)
    for method in (
        CacheMethod(prompt=9, sinks=3, reindex_positions=True),
        CacheMethod(RandomEviction(), prompt=9, reindex_positions=True),
    ):
        cache = MemoryCache(model, method)
        with torch.no_grad(), attached(model):
            model(ids, past_key_values=cache)
        layer = cache.layers[1]
        entries = layer.groups[0].store.read(torch.empty(0), 40)
        by = torch.arange(31, 40) - entries.position_ids
        angle = by[..., None] * cache.rotary().frequencies
        x, y = entries.keys.chunk(2, -1)
        expected = torch.cat((x * angle.cos() - y * angle.sin(), y * angle.cos() + x * angle.sin()), -1)
        assert torch.allclose(layer._reindexed(entries).keys, expected, atol=1e-5)
