"""MovieChat: what is merged, what grows, and that short scenes survive."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from mnemos.activation.consolidate.moviechat import MovieChat, fused
from mnemos.errors import InvalidInput


def unit(*numbers):
    return torch.tensor(numbers, dtype=torch.float32)


def test_the_two_neighbours_most_alike_become_their_mean():
    a, b, c, d = unit(1, 0), unit(0, 1), unit(0.1, 1), unit(1, 0)
    assert torch.equal(torch.stack(fused([a, b, c, d], 3)), torch.stack([a, (b + c) / 2, d])), (
        "a and d are no neighbours"
    )


def test_likeness_of_items_with_several_vectors_is_averaged():
    one = torch.eye(2)
    near, far = torch.stack([unit(1, 0), unit(1, 1)]), torch.stack([unit(0, 1), unit(1, 0)])
    assert torch.equal(fused([far, one, near], 2)[1], (one + near) / 2)


@given(short=st.integers(2, 9), merged=st.integers(1, 8), count=st.integers(1, 80), limit=st.integers(8, 20))
def test_it_grows_by_so_many_for_so_many(short, merged, count, limit):
    if merged >= short:
        return
    items = torch.randn(count, 4, generator=torch.Generator().manual_seed(count))
    free, bounded = MovieChat(short, merged, None), MovieChat(short, merged, limit)
    for memory in (free, bounded):
        memory.read(items[: count // 2])
        memory.read(items[count // 2 :])
    assert len(free.long) == count // short * merged
    assert len(bounded.long) == min(len(free.long), limit)
    assert len(free.recent) == count % short
    assert torch.equal(torch.stack(free.recent), items[count - count % short :]) if free.recent else True
    assert free.nbytes == 16 * (len(free.long) + len(free.recent))


def test_a_scene_of_one_item_is_kept_apart():
    long, short = unit(1, 0, 0), unit(0, 0, 1)
    memory = MovieChat(8, 2)
    memory.read(torch.stack([long] * 7 + [short]))
    assert torch.equal(memory.memory(), torch.stack([long, short]))


def test_nonsense_is_refused():
    with pytest.raises(InvalidInput, match="merged"):
        MovieChat(4, 4)
    with pytest.raises(InvalidInput, match="nothing is held"):
        MovieChat().memory()
