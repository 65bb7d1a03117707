"""What a budget lets go of, found at once, against taking the weakest away one by one."""

import math
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.cube import MemCube, to_micros
from mnemos.store.values import Entry
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
NAMES = count()
LIMIT = st.one_of(st.none(), st.integers(0, 12))


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("root"), embedder="none", clock=lambda: T0) as memory:
        yield memory


def one_by_one(rows, keep, now, cubes, size, days, below):
    """Return the ids that go; rows are (id, size, recalled, free) and `keep` what each is worth."""
    gone = [
        free and ((below is not None and keep[i] < below) or (days is not None and now - recalled > days))
        for i, (_, _, recalled, free) in enumerate(rows)
    ]
    for i in sorted(range(len(rows)), key=lambda i: keep[i]):
        left = [r for r, away in zip(rows, gone, strict=True) if not away]
        if (cubes is None or len(left) <= cubes) and (size is None or sum(r[1] for r in left) <= size):
            break
        gone[i] = gone[i] or rows[i][3]
    return {rows[i][0] for i in range(len(rows)) if gone[i]}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.sampled_from([0, 0, 1, 2]), st.booleans()), max_size=12),
    LIMIT, st.one_of(st.none(), st.integers(0, 200)), LIMIT, st.one_of(st.none(), st.floats(0, 1)), LIMIT, LIMIT,
)  # fmt: skip
def test_a_policy_lets_go_of_what_taking_away_one_by_one_does(
    memory, cubes, number, size, days, below, archived, archived_days
):
    space = memory.space(f"s{next(NAMES)}")
    ids = [f"c{i}" for i in range(len(cubes))]
    learned = [T0 - timedelta(days=len(cubes) - i) for i in range(len(cubes))]
    times = [to_micros(at) for at in learned]
    made = [
        MemCube(
            id=name, text="x" * length, space=space.name, at=at, learned=at, pinned=pinned, layer=tier,
            state="archived" if away else "active",
        )
        for name, at, (length, pinned, tier, away) in zip(ids, learned, cubes, strict=True)
    ]  # fmt: skip
    space.store.insert([Entry(cube, ()) for cube in made], None)
    now = to_micros(T0) / DAY
    rows = {n: (n, c[0], t / DAY, not c[1] and c[2] < 2) for n, t, c in zip(ids, times, cubes, strict=True)}

    def expected(names, *limits):
        chosen = [rows[n] for n in names]
        return one_by_one(chosen, [math.exp((r[2] - now) / 5.0) for r in chosen], now, *limits)

    space.policy = Policy(
        constants={"days": 5.0}, min_retention=below, cubes=number, bytes=size, days=days,
        archived_cubes=archived, archived_days=archived_days,
    )  # fmt: skip
    active = [n for n, c in zip(ids, cubes, strict=True) if not c[3]]
    gone = expected(active, number, size, days, below)
    told = space.apply_policy(preview=True)
    assert set(told.archived) == gone
    later = [n for n in ids if n not in active or n in gone]
    assert set(told.erased) == expected(later, archived, None, archived_days, None)
    assert [*told.archived] == sorted(told.archived, key=lambda n: rows[n][2])  # the weakest first
    done = space.apply_policy()
    assert (done.archived, set(done.erased)) == (told.archived, set(told.erased))
