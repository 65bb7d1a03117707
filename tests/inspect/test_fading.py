"""How memories fade: every strength against the law, and what is due against what the policy does."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.cube import to_micros
from mnemos.errors import InvalidInput, NotFound
from mnemos.inspect import fading
from mnemos.text.base import DAY, Histories
from mnemos.text.forget.laws import law_names, load_law
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def lives_of(cube):
    return Histories(
        created=np.array([to_micros(cube.learned) / DAY]),
        recalled=np.array([to_micros(cube.recalled_at or cube.learned) / DAY]),
        recalls=np.array([cube.recalls]), strength=np.array([cube.strength]), size=np.array([len(cube.text)]),
        tier=np.array([cube.layer]),
    )  # fmt: skip


@pytest.mark.parametrize("law", law_names())
def test_a_curve_is_what_the_law_says(space, clock, law):
    space.add("apples and pears", id="a")
    clock.now += timedelta(days=4)
    space.text.recalled(["a"])
    space.flush()
    clock.now += timedelta(days=2)
    space.policy = Policy(law=law, min_retention=0.25)
    found = space.inspect.curve("a", days=30)
    assert (found.law, found.floor, found.recalls) == (law, 0.25, [T0 + timedelta(days=4)])
    assert (len(found.points), found.points[0][0], found.points[-1][0]) == (
        120,
        clock.now,
        clock.now + timedelta(days=30),
    )
    cube, keep = space.get("a"), load_law(law).retention
    for at, strength in found.points:
        assert strength == pytest.approx(keep(lives_of(cube), to_micros(at) / DAY)[0], abs=1e-9)
    assert found.now == found.points[0][1] == space.inspect.strengths([cube])[0]
    assert all(
        b - a == pytest.approx(30 / 119 * 86_400, abs=1e-5)
        for a, b in pairwise(at.timestamp() for at, _ in found.points)
    )


def test_a_curve_is_of_a_cube_that_is_there_and_of_days_to_come(space):
    with pytest.raises(NotFound):
        space.inspect.curve("nobody")
    space.add("x", id="a")
    for days in (0, -1, 1e9):
        with pytest.raises(InvalidInput, match="days is"):
            space.inspect.curve("a", days=days)


@pytest.mark.parametrize(
    "policy",
    [Policy(), Policy(min_retention=0.05), Policy(law="lru", cubes=6), Policy(law="fifo", cubes=3, archived_cubes=4),
     Policy(law="ttl", days=3.0, archived_days=1.0), Policy(law="random", cubes=0)],
)  # fmt: skip
def test_fading_shows_what_fade_lets_go_of_and_then_the_weakest(space, clock, policy):
    for i in range(12):
        space.add(f"note {i} about apples", id=f"c{i}", reconcile=False)
        clock.now += timedelta(days=1)
    space.archive(["c1", "c7"])
    space.pin("c2")
    space.store.lives.set_strength([(1.0, 2, 0, to_micros(T0), "c3")])  # of the long term
    space.policy = policy
    found, told = space.inspect.due_soon(limit=100), space.apply_policy(preview=True)
    assert tuple(c.id for c, _ in found.archive) == told.archived
    assert tuple(c.id for c, _ in found.erase) == told.erased
    assert (found.archive_count, found.erase_count) == (len(told.archived), len(told.erased))
    left = {f"c{i}" for i in range(12)} - {"c1", "c2", "c3", "c7", *told.archived}
    assert {c.id for c, _ in found.next} == left
    law, now = policy.make_law(), to_micros(clock.now) / DAY
    for part in (found.archive, found.erase, found.next):
        strengths = [s for _, s in part]
        assert strengths == sorted(strengths)
        assert strengths == [pytest.approx(law.retention(lives_of(c), now)[0]) for c, _ in part]
    few = space.inspect.due_soon(limit=2)
    assert few.next == found.next[:2]
    assert (few.archive, few.erase) == (found.archive[:2], found.erase[:2])
    assert few.archive_count == len(told.archived)
    space.apply_policy()
    assert {c.id for c in space.cubes(state="active").items} == left | {"c2", "c3"}


@pytest.mark.parametrize(
    "policy",
    [Policy(constants={"days": "many"}), Policy(law="layered", constants={"days": [1.0]}),
     Policy(law="layered", constants={"days": 3.0}), Policy(law="power", constants={"b": [1.0, 2.0, 3.0]}),
     Policy(law="memoryos-heat", constants={"page": 0.0, "b": 0.0}), Policy(constants={"gain": float("inf")})],
)  # fmt: skip
def test_a_law_that_cannot_work_with_its_constants_is_refused(policy):
    with pytest.raises(InvalidInput, match="cannot work"):
        fading.check_law(policy)


@pytest.mark.parametrize("law", law_names())
def test_every_law_works_with_its_own_constants(law):
    fading.check_law(Policy(law=law))
