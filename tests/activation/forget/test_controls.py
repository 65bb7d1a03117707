"""Random eviction, a sliding window and StreamingLLM: what the others are compared with."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.forget.random_eviction import RandomEviction
from mnemos.activation.method import CacheMethod
from mnemos.activation.presets import get_preset


def test_random_eviction_is_seeded_and_differs_by_layer_head_and_row(after, positions):
    one, again, other = (after(CacheMethod(RandomEviction(seed), prompt=10)) for seed in (0, 0, 1))
    assert torch.equal(positions(one), positions(again))
    assert not torch.equal(positions(one), positions(other))
    assert not torch.equal(positions(one), positions(one, 1))
    rows = positions(one).flatten(0, 1).tolist()
    assert len({tuple(row) for row in rows}) == len(rows)


def test_random_eviction_under_a_steady_budget_equals_one_cut_at_the_end(after, positions):
    """Else the old would go first, and the control would be a window."""
    steady = after(CacheMethod(RandomEviction(), prompt=10, decode=10), (20, *[1] * 20))
    assert torch.equal(positions(steady), positions(after(CacheMethod(RandomEviction(), prompt=10))))


def test_random_is_spread_over_the_text(look):
    first = torch.stack([RandomEviction(seed)(look()).argmax(-1) < 6 for seed in range(200)]).float().mean()
    assert 0.4 < first < 0.6


def test_a_sliding_window_keeps_the_last_share_of_the_tokens_read(after, positions):
    cache = after(get_preset("sliding-window").at_share(0.25), (20, *[1] * 20))
    assert (
        positions(cache).tolist() == [[[*range(31, 40)]] * 2] * 2
    )  # nine with their positions are a quarter of the bytes


def test_streaming_keeps_four_sinks_at_positions_inside_the_cache(after, positions):
    method = get_preset("streaming-llm").at_share(0.25)
    cache = after(method, (20, *[1] * 20))
    assert positions(cache).tolist() == [[[0, 1, 2, 3, *range(35, 40)]] * 2] * 2
    assert method.reindex_positions
