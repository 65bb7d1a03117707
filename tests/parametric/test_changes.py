"""A change of weights is undone bit for bit, from no more bytes than the weights have, and not when they changed since."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnemos.errors import Conflict
from mnemos.parametric.changes import recorded

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Layers(nn.Module):
    def __init__(self, dtype=torch.float32, seed=0):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.a = nn.Parameter(torch.randn(40, 24, generator=draw).to(dtype))
        self.b = nn.Parameter(torch.randn(7, generator=draw).to(dtype))


def changed(model, change, names=("a", "b")):
    with recorded(model, list(names)) as recording, torch.no_grad():
        change(model, recording)
    return recording.change


def grow(u, v):
    def change(model, recording):
        model.a.copy_((model.a.double() + u.double() @ v.double()).to(model.a.dtype))
        recording.adds("a", u, v)

    return change


def grow_by(size):
    draw = torch.Generator().manual_seed(1)
    return grow(torch.randn(40, 1, generator=draw) * size, torch.randn(1, 24, generator=draw))


WAYS = {
    "all": lambda model, _: model.a.mul_(1.1),
    "a row": lambda model, _: model.a[3].zero_(),
    "a column": lambda model, _: model.a[:, 5].add_(1),
    "a number": lambda model, _: model.a[2, 3].fill_(float("nan")),
    "the sign of zero": lambda model, _: model.b.mul_(-0.0),
    "rank one": grow_by(0.1),
    "rank one, large": grow_by(99),
    "nothing": lambda model, _: None,
}


def equal(model, original):
    pairs = zip(model.parameters(), original.parameters(), strict=True)
    return all(torch.equal(one.view(torch.uint8), other.view(torch.uint8)) for one, other in pairs)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_change_is_undone_bit_for_bit(way, dtype):
    model = Layers(dtype)
    undo = changed(model, WAYS[way])
    undo.undo()
    assert equal(model, Layers(dtype))
    with pytest.raises(Conflict, match="undone already"):
        undo.undo()


def test_what_is_kept_is_no_larger_than_what_changed():
    whole = 40 * 24 * 4
    held = {way: changed(Layers(), change).nbytes for way, change in WAYS.items()}
    assert held["all"] <= whole + 16
    assert held["a row"] < 24 * 4 + 32
    assert held["a column"] < 40 * 4 + 32
    assert held["a number"] < 32
    assert held["nothing"] == 0
    assert held["rank one"] < whole / 2


def test_a_later_change_has_to_be_undone_first():
    model = Layers()
    first, second = changed(model, WAYS["all"]), changed(model, WAYS["a row"])
    with pytest.raises(Conflict, match="a was changed since"):
        first.undo()
    second.undo()
    first.undo()
    assert equal(model, Layers())


@pytest.mark.parametrize("meddle", [lambda m: m.a.data.add_(1), lambda m: m.half(), lambda m: delattr(m, "a")])
def test_weights_that_changed_since_are_left_alone(meddle):
    model = Layers()
    undo = changed(model, lambda m, _: (m.a.mul_(2), m.b.mul_(2)))
    meddle(model)
    b = model.b.clone()
    with pytest.raises(Conflict):
        undo.undo()
    assert torch.equal(model.b, b)


def test_a_change_that_fails_leaves_the_weights_as_they_were():
    model = Layers()
    with pytest.raises(ZeroDivisionError):
        changed(model, lambda m, _: (m.a.mul_(2), 1 / 0))
    assert equal(model, Layers())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.floats(-4, 4), st.sampled_from(DTYPES), st.integers(0, 9))
def test_factors_bring_any_rounded_sum_back(rank, size, dtype, seed):
    draw = torch.Generator().manual_seed(seed)
    u, v = torch.randn(40, rank, generator=draw) * 10**size, torch.randn(rank, 24, generator=draw)
    model = Layers(dtype, seed)
    changed(model, grow(u, v)).undo()
    assert equal(model, Layers(dtype, seed))
