"""Product keys against brute force, their usage, and gradients that touch only what was read."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.parametric.recall.lookup import Values, best_sums, usage
from mnemos.parametric.recall.memory_layers import MemoryLayer
from mnemos.parametric.recall.product_keys import ProductKeyMemory


def brute_force(rows, columns, k):
    """All pairs, sorted by sum; equal sums by the order of rows, then of columns, each sorted on its own."""
    n = len(rows)
    by_row = sorted(range(n), key=lambda i: (-rows[i], i))
    by_column = sorted(range(n), key=lambda j: (-columns[j], j))
    pairs = [(i, j) for i in by_row for j in by_column]
    best = sorted(pairs, key=lambda pair: -(rows[pair[0]] + columns[pair[1]]))[:k]  # stable
    return [i * n + j for i, j in best]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 7), ties=st.booleans())
def test_the_best_sums_are_those_of_brute_force_ties_included(data, n, ties):
    number = st.integers(-2, 2).map(float) if ties else st.floats(-8, 8, width=16)
    rows, columns = (data.draw(st.lists(number, min_size=n, max_size=n)) for _ in range(2))
    k = data.draw(st.integers(1, n))
    scores, slots = best_sums(*torch.tensor([[rows], [columns]], dtype=torch.float64), k)
    assert slots[0].tolist() == brute_force(rows, columns, k)
    assert scores[0].tolist() == sorted((r + c for r in rows for c in columns), reverse=True)[:k]


@pytest.mark.parametrize("norm", ["batch", "qk", "none"])
def test_a_layer_reads_the_slots_of_all_keys_compared_one_by_one(norm):
    torch.manual_seed(0)
    layer = ProductKeyMemory(16, n=12, heads=3, k=5, key_width=8, norm=norm).eval()
    hidden = torch.randn(2, 7, 16)
    rows, columns = layer.half_scores(hidden.flatten(0, 1))
    all_scores = (rows[..., :, None] + columns[..., None, :]).flatten(-2)  # (B, H, N)
    scores, slots = all_scores.topk(5, -1)
    found, weights = layer.look_up(hidden.flatten(0, 1))
    assert torch.equal(found, slots)
    torch.testing.assert_close(weights, scores.softmax(-1))
    expected = (layer.values.weight[slots] * weights[..., None]).sum((1, 2)).unflatten(0, (2, 7))
    torch.testing.assert_close(layer(hidden), expected)


def test_only_rows_that_were_read_get_a_gradient():
    torch.manual_seed(0)
    layer = MemoryLayer(16, n=10, heads=2, k=3, key_width=8)
    hidden = torch.randn(5, 16)
    slots, _ = layer.look_up(hidden)
    layer(hidden).sum().backward()
    gradient = layer.memory.values.weight.grad.coalesce()
    assert set(gradient.indices()[0].tolist()) == set(slots.flatten().tolist())


def test_an_update_moves_only_rows_that_were_read_also_after_others_gathered_momentum():
    torch.manual_seed(0)
    layer = ProductKeyMemory(16, n=10, heads=1, k=2, key_width=8, norm="none")
    optimizer = torch.optim.SparseAdam([layer.values.weight], lr=0.1)
    for _ in range(3):
        before = layer.values.weight.detach().clone()
        hidden = torch.randn(3, 16)
        layer(hidden).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        moved = (layer.values.weight != before).any(1).nonzero().flatten().tolist()
        assert moved == sorted(set(layer.look_up(hidden)[0].flatten().tolist()))


def test_layers_share_a_pool_that_is_stored_once():
    pool = Values(64, 16)
    layers = torch.nn.ModuleList(MemoryLayer(16, n=8, k=4, key_width=8, values=pool) for _ in range(3))
    assert len({id(layer.memory.values.weight) for layer in layers}) == 1
    assert sum(p.numel() for p in layers.parameters() if p.shape[:1] == (64,)) == 64 * 16


def test_usage_counts_slots_and_tells_even_from_uneven():
    even = usage(torch.arange(8), torch.ones(8), 8)
    assert (even.used, even.kl) == (1.0, pytest.approx(0.0, abs=1e-12))
    one = usage(torch.tensor([3, 3, 3]), torch.ones(3), 8)
    assert one.used == 1 / 8
    assert one.kl == pytest.approx(2.0794415)  # log 8


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidInput, match="k is 9"):
        ProductKeyMemory(8, n=8, k=9)
    with pytest.raises(InvalidInput, match="rows"):
        ProductKeyMemory(8, n=8, k=4, values=Values(63, 8))
