"""UltraMem: scores against the whole grid, experts against their formula, the variance at the start."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.parametric.recall.ultramem import UltraMemory


def grid(layer, queries):
    """The scores of all slots, one pair of tables after the other: (B, h * h, N)."""
    rows, columns = layer.scores(queries)
    whole = torch.einsum("birx,ijrs,bjsy->bijxy", rows, layer.cores, columns)
    return whole.flatten(3).flatten(1, 2)


def test_with_all_rows_and_columns_as_candidates_the_best_slots_are_exact():
    torch.manual_seed(0)
    layer = UltraMemory(12, n=9, k=4, key_width=8, rank=3, candidates=9)
    queries = torch.randn(6, 12)
    slots, weights = layer.look_up(queries)
    best, at = grid(layer, queries).topk(4, -1)
    torch.testing.assert_close(weights, best)
    assert torch.equal(slots, at)


def test_fewer_candidates_find_most_of_the_best_and_score_what_they_find_exactly():
    torch.manual_seed(0)
    layer = UltraMemory(32, n=64, k=8, key_width=16, rank=2)
    queries = torch.randn(50, 32)
    slots, weights = layer.look_up(queries)
    whole = grid(layer, queries)
    torch.testing.assert_close(whole.gather(-1, slots), weights)
    best = whole.topk(8, -1).indices
    assert (slots[..., :, None] == best[..., None, :]).any(-1).double().mean() > 0.7


def test_a_slot_is_an_expert_of_one_hidden_unit():
    torch.manual_seed(0)
    layer = UltraMemory(12, n=8, k=3, key_width=8)
    x = torch.randn(12)
    slots, weights = layer.look_up(x[None])
    unit = [
        w * (layer.inputs.weight[s] @ layer.project(x)) for s, w in zip(slots.flatten(), weights.flatten(), strict=True)
    ]
    expected = layer.expand(sum(u * layer.values.weight[s] for u, s in zip(unit, slots.flatten(), strict=True)))
    torch.testing.assert_close(layer(x[None])[0], expected)


def test_it_starts_with_the_variance_that_was_asked_for():
    torch.manual_seed(0)
    for std in (0.02, 0.5):
        assert UltraMemory(32, n=32, k=4, std=std)(torch.randn(2000, 32)).std().item() == pytest.approx(std, rel=0.2)


def test_too_few_candidates_are_refused():
    with pytest.raises(InvalidInput, match="raise them"):
        UltraMemory(8, n=8, k=5, candidates=2)
