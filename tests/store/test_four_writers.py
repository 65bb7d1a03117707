"""Four processes on one space, killed, with the server crashed under them: nothing acknowledged is lost, nothing doubled."""

import pytest

from benchmarks.store import four


@pytest.mark.parametrize("kind", four.KINDS)
def test_four_writers_lose_and_double_nothing(kind, request):
    if kind == "Postgres":
        request.getfixturevalue("postgres_server")  # skips with the reason where none can be had
    found = four.run_one(kind, rounds=1, seed=7)
    assert (found.lost, found.doubled, found.problems) == (0, 0, [])
    assert found.acknowledged >= 4 * 6
    assert found.stored <= found.acknowledged + found.kills, "nothing but what was in flight"
    assert found.kills == 2
    assert found.crashes == (kind == "Postgres"), "each in the middle of a write"
