"""Budgets that layers and heads share: exact sums, and each rule against the arithmetic it names."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given
from hypothesis import strategies as st

from mnemos.activation import MemoryCache, read
from mnemos.activation.forget.adakv import AdaKV
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.coverage import Coverage
from mnemos.activation.forget.pyramid import Pyramid
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.forget.zigzag import ZigZag
from mnemos.activation.method import CacheMethod
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


@given(
    weights=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    each=st.integers(1, 50),
    low=st.integers(0, 8),
    more=st.integers(0, 60),
)
def test_a_budget_is_divided_exactly_and_within_its_bounds(weights, each, low, more):
    high, low = each + more, min(low, each)
    found = allocate(torch.tensor(weights), each * len(weights), low, high)
    assert int(found.sum()) == each * len(weights)
    assert int(found.min()) >= low
    assert int(found.max()) <= high


def test_a_budget_is_divided_in_proportion_above_the_least_and_what_is_full_passes_on():
    assert allocate(torch.tensor([1.0, 3.0]), 16, 2, 99).tolist() == [5, 11]
    assert allocate(torch.tensor([1.0, 1.0, 8.0]), 30, 0, 14).tolist() == [8, 8, 14]
    assert allocate(torch.zeros(4), 10, 0, 9).tolist() == [3, 3, 2, 2]


def test_a_pyramid_falls_in_a_line_to_a_twentieth():
    counts = [int(c) for c in Pyramid().counts([torch.zeros(())] * 5, 100, 1000)]
    expected = [195, 147.5, 100, 52.5, 5]
    assert sum(counts) == 500
    assert all(abs(c - e) <= 1.5 for c, e in zip(counts, expected, strict=True))
    rising = [int(c) for c in Pyramid(rising=True).counts([torch.zeros(())] * 5, 100, 1000)]
    assert rising == counts[::-1] or sum(abs(a - b) for a, b in zip(rising, counts[::-1], strict=True)) <= 2
    grouped = [int(c) for c in Pyramid(group=2).counts([torch.zeros(())] * 4, 100, 1000)]
    assert abs(grouped[0] - grouped[1]) <= 1
    assert grouped[0] > 3 * grouped[2]


def test_adakv_counts_the_largest_scores_of_a_layer():
    score = torch.tensor([[[9.0, 8.0, 7.0, 6.0, 0.0], [5.0, 0.1, 0.1, 0.1, 0.1]]])  # of the best 4, 4 and 0 are theirs
    assert AdaKV(safeguard=0.5).counts([score], 2, 5)[0].tolist() == [3, 1]
    assert AdaKV(safeguard=1.0).counts([score], 2, 5)[0].tolist() == [2, 2]
    many = torch.stack((torch.arange(10.0) + 2, torch.arange(10.0) - 6))[
        None
    ]  # 10 best: 8 of the first, 2 of the other
    many[0, 1, -2:] = 20.0
    assert AdaKV(safeguard=0.4).counts([many], 5, 10)[0].tolist() == [7, 3]
    assert AdaKV(safeguard=0.0).counts([score], 2, 5)[0].tolist() == [3, 1]  # none is left with nothing


def test_zigzag_counts_the_fewest_keys_that_hold_the_mass(look, naive):
    view = look()
    found = []
    for row in naive(view).flatten(0, 3):
        mass, count = 0.0, 0
        for weight in sorted(row.tolist(), reverse=True):
            if mass >= 0.9:
                break
            mass, count = mass + weight, count + 1
        found.append(count)
    assert float(ZigZag().need(view, torch.empty(0))) == pytest.approx(sum(found) / len(found), abs=1e-4)
    counts = ZigZag(least=0.5).counts([torch.tensor(1.0), torch.tensor(4.0)], 10, 99)
    assert [int(c) for c in counts] == [7, 13]


def test_coverage_is_attention_beyond_sinks_and_neighbours(look, naive):
    view = look()
    expected = torch.zeros(2)
    weights = naive(view)
    for head in range(2):
        for group in range(2):
            share = 0.0
            for row in range(2):
                for q in range(12):
                    share += float(weights[row, head, group, q, 1 : max(1, q - 3)].sum()) / 24
            expected[head] = max(float(expected[head]), share)
    assert torch.allclose(Coverage().need(view, torch.empty(0)), expected, atol=1e-5)


def test_coverage_ignores_padding(look):
    view, short = look(), look()
    view.entries.valid = torch.ones(2, 2, 12, dtype=torch.bool)
    view.entries.valid[:, :, :4] = False
    view.query = view.query[:, :, 4:]
    view.start = 4
    short.entries = short.entries.each(lambda t: t[:, :, 4:])
    short.query, short.tokens_read = view.query, 8
    assert torch.allclose(Coverage().need(view, torch.empty(0)), Coverage().need(short, torch.empty(0)), atol=1e-6)


@pytest.mark.parametrize("allocation", [Pyramid(), AdaKV(), ZigZag(), Coverage()])
def test_a_shared_budget_is_held_to_the_byte(llama, ids, allocation):
    sharp = copy.deepcopy(llama)
    sharp.model.layers[1].self_attn.q_proj.weight.data *= 100  # so that layers differ
    even, shared = (
        MemoryCache(sharp, CacheMethod(SnapKV(kernel=3), prompt=20, allocation=a)) for a in (None, allocation)
    )
    for cache in (even, shared):
        read(sharp, ids, cache)
    assert shared.nbytes == even.nbytes
    assert shared.held != even.held
    held = 0
    for layer in shared.layers:
        for group in layer.groups:
            tensors = group.store.entries.tensors().values()
            held += sum(t.untyped_storage().nbytes() for t in tensors)
    assert held == even.nbytes


@pytest.mark.parametrize("make", [lambda: Pyramid(beta=0), lambda: AdaKV(safeguard=2), lambda: ZigZag(mass=0)])
def test_invalid_budgets_are_refused(make):
    with pytest.raises(InvalidInput):
        make()


def test_the_layer_that_looks_things_up_gets_the_budget(small_model, answered):
    """The first layer of the small model looks at the token before: nothing of the prompt is needed there."""
    task = tasks.key_value(20, 64, 8, 8)
    found = {
        name: answered(small_model, get_preset(name).at_share(0.125), task) for name in ("keydiff", "keydiff-coverage")
    }
    assert found["keydiff-coverage"] >= 0.8
    assert found["keydiff-coverage"] > found["keydiff"] + 0.1
