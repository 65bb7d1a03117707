"""Entries are appended in place where there is room: equal to copying all, and never seen by other continuations."""

import copy

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mnemos.activation.entries import Entries

HEADS, WIDTH = 2, 3


def entries(first: int, count: int, *names: str) -> Entries:
    """Entries whose numbers tell which they are."""
    numbers = torch.arange(first, first + count).expand(1, HEADS, count)
    wide = numbers[..., None].expand(-1, -1, -1, WIDTH).float()
    made = Entries(wide.clone(), -wide)
    if "position_ids" in names:
        made.position_ids = numbers.int()
    if "valid" in names:
        made.valid = numbers % 3 > 0
    if "got" in names:
        made.extra["got"] = numbers.float()
    return made


def copied(held: Entries, new: Entries) -> dict[str, Tensor]:
    """What appending is, by copying all."""
    mine, its = held.tensors(), new.tensors()
    fill = {"valid": True}
    whole = {}
    for name in mine.keys() | its.keys():
        parts = [
            side[name] if name in side
            else one.positions() + shift if name == "position_ids"
            else torch.full((1, HEADS, len(one)), fill.get(name, 0))
            for one, side, shift in ((held, mine, 0), (new, its, len(held)))
        ]  # fmt: skip
        whole[name] = torch.cat(parts, 2)
    return whole


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name].to(one[name].dtype)) for name in one)


KINDS = st.sets(st.sampled_from(["position_ids", "valid", "got"]))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), KINDS, st.lists(st.tuples(st.integers(1, 9), KINDS, st.integers(0, 3)), max_size=12))
def test_appending_equals_copying(size: int, kinds: set[str], calls: list[tuple[int, set[str], int]]) -> None:
    held = entries(0, size, *kinds)
    kept: list[tuple[Entries, dict[str, Tensor]]] = []
    for count, names, what in calls:
        new = entries(len(held), count, *names)
        if what == 1:  # a method's memory is replaced between two calls
            held.extra["got"] = held.memory("got") + 1
        elif what == 2:  # another one goes on from the same entries
            held.joined(entries(1_000, count, *names))
        elif what == 3:
            held = copy.deepcopy(held)
        expected = copied(held, new)
        held = held.joined(new)
        assert same(held.tensors(), expected)
        kept.append((held, {name: t.clone() for name, t in expected.items()}))
    for one, expected in kept:  # what was handed out stays as it was
        one.extra.pop("got", None)
        expected.pop("extra.got", None)
        assert same(one.tensors(), expected)


def test_two_continuations_of_the_same_entries_do_not_mix() -> None:
    start = entries(0, 4).joined(entries(4, 1))
    one, other = start.joined(entries(5, 1)), start.joined(entries(90, 1))
    assert one.keys[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert other.keys[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 90]


def test_a_token_is_written_where_there_is_room() -> None:
    held = entries(0, 320)
    places, bytes_held = set(), []
    for at in range(320, 480):
        held = held.joined(entries(at, 1))
        places.add(held.keys.data_ptr())
        bytes_held.append(held.nbytes)
    exact = 2 * HEADS * WIDTH * 4
    assert len(places) <= 16  # 160 tokens: all was copied once in ten or more
    assert all(count * exact <= size <= 1.04 * count * exact for count, size in enumerate(bytes_held, 321))


def test_gathered_entries_do_not_keep_the_room_alive() -> None:
    held = entries(0, 64).joined(entries(64, 1))
    few = held.gather(torch.tensor([[[1, 5], [2, 6]]]))
    assert few.keys.untyped_storage().nbytes() == few.keys.numel() * 4
    assert few.nbytes == 2 * few.keys.numel() * 4 + few.position_ids.numel() * 4


def test_gradients_flow_through_what_is_appended() -> None:
    weight = torch.ones(1, requires_grad=True)
    held = entries(0, 3).joined(entries(3, 1))
    for at in (4, 5):
        new = entries(at, 1)
        held = held.joined(Entries(new.keys * weight, new.values))
    held.keys.sum().backward()
    assert weight.grad is not None
    assert weight.grad.item() == (4 + 5) * HEADS * WIDTH


def test_entries_of_inference_mode_can_be_extended_outside_of_it() -> None:
    with torch.inference_mode():
        held = entries(0, 3).joined(entries(3, 1))
    with torch.no_grad():
        held = held.joined(entries(4, 1))
    assert held.keys[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4]
