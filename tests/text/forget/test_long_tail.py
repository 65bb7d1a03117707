"""The chance of a coming use from counts, and what a policy gives up by it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.text.forget.long_tail import chances
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 1, 1, tzinfo=UTC)


def test_chances_are_those_of_good_and_turing_and_sum_to_1():
    counts = [0, 0, 1, 1, 1, 1, 2, 2, 3]  # n_0 = 2, n_1 = 4, n_2 = 2, n_3 = 1
    expected = np.array([4 / 2, 4 / 2, *[2 * 2 / 4] * 4, *[3 * 1 / 2] * 2, 3])  # none was used four times: r
    assert chances(counts) == pytest.approx(expected / expected.sum())
    assert chances([]).tolist() == []
    assert chances([0, 0]).tolist() == [0, 0]


def test_chances_foretell_the_next_use_where_the_tail_is_long():
    rng, p = np.random.default_rng(0), 1 / np.arange(1, 2001)
    p /= p.sum()
    once, expected = [], []
    for _ in range(40):
        counts = rng.multinomial(1000, p)
        once.append(p[counts == 1].sum())
        expected.append(chances(counts)[counts == 1].sum())
    assert np.mean(expected) == pytest.approx(np.mean(once), rel=0.1)


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def test_what_a_policy_gives_up_is_the_chance_that_it_is_asked_for(space, clock):
    for name, times in (("often", 5), ("twice", 2), ("once", 1), ("also once", 1), ("never", 0)):
        space.add(f"{name} recalled", id=name, reconcile=False)
        for _ in range(times):
            space.text.recalled([name])
        clock.now += timedelta(days=1)
    assert space.inspect.due_soon().recalls_given_up == 0
    space.policy = Policy(law="fifo", cubes=2)
    due = space.inspect.due_soon()
    assert [cube.id for cube, _ in due.archive] == ["often", "twice", "once"]
    order = chances([5, 2, 1, 1, 0])
    assert due.recalls_given_up == pytest.approx(order[:3].sum())
