"""Addresses in one block: nothing overlaps, small cases are as small as they can be, and lifetimes are those of the tensors."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.footprint.plan.addresses import ALIGNED, Addresses, Lifetime, first_fit, least, lifetimes

DRAWN = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12), st.integers(0, 8)), max_size=14).map(
    lambda drawn: [Lifetime(n * ALIGNED, first, first + long) for n, first, long in drawn]
)


def overlap(held, placement):
    """Return whether two lifetimes share a byte at a moment, looked at pair by pair."""
    spans = list(zip(held, placement.offsets, strict=True))
    return any(
        a.first <= b.last and b.first <= a.last and x < y + b.nbytes and y < x + a.nbytes
        for i, (a, x) in enumerate(spans)
        for b, y in spans[:i]
    )


def smallest(held):
    """Return the smallest block there is: some order of lowest places reaches it."""

    def block(order):
        placed = []
        for one in order:
            beside = sorted((at, at + o.nbytes) for o, at in placed if o.first <= one.last and one.first <= o.last)
            at = 0
            for start, end in beside:
                if start - at >= one.nbytes:
                    break
                at = max(at, end)
            placed.append((one, at))
        return max((at + o.nbytes for o, at in placed), default=0)

    return min(block(order) for order in permutations(held))


@given(DRAWN)
def test_nothing_overlaps_and_the_block_is_between_the_bound_and_first_fit(held):
    placement = Addresses(held, rounds=20).place()
    assert not overlap(held, placement)
    assert not overlap(held, first_fit(held))
    assert least(held) <= placement.nbytes <= first_fit(held).nbytes
    by_hand = [sum(o.nbytes for o in held if o.first <= t <= o.last) for t in range(22)]
    assert least(held) == max(by_hand, default=0)


@given(DRAWN.filter(lambda held: len(held) <= 5))
def test_a_few_are_placed_as_well_as_by_trying_all_orders(held):
    assert Addresses(held, rounds=400).place().nbytes == smallest(held)


def test_first_fit_wastes_what_a_plan_does_not():
    held = [Lifetime(64, 0, 1), Lifetime(64, 0, 3), Lifetime(128, 2, 3)]  # what goes leaves a gap that is too small
    assert first_fit(held).nbytes == 256
    assert Addresses(held).place().nbytes == least(held) == 192


def test_lifetimes_are_those_of_the_tensors():
    given_first = torch.zeros(16)

    def step():
        kept = given_first + 1  # operation 0
        short = kept * 2  # 1
        del short
        view = kept.view(4, 4)  # 2, no bytes of its own
        given_first.add_(1)  # 3, nothing new
        return torch.cat([view, view])  # 4

    assert lifetimes(step) == [Lifetime(64, 0, 4), Lifetime(64, 1, 1), Lifetime(128, 4, 4)]


def test_a_backward_pass_is_seen():
    weight = torch.ones(64, 64, requires_grad=True)
    x = torch.ones(64, 64)
    held = lifetimes(lambda: (x @ weight).relu().sum().backward())
    last = max(one.last for one in held)
    assert sum(one.nbytes for one in held if one.last == last) >= weight.nbytes  # its gradient stays
    assert least(held) >= 2 * weight.nbytes  # what relu keeps, and a gradient


def test_what_is_no_lifetime_is_refused():
    with pytest.raises(InvalidInput, match=r"lifetimes\(step\)"):
        Addresses([Lifetime(64, 3, 2)])
    assert Addresses([]).predict().nbytes == 0
