"""Retention on disk: what saves the most seconds for its bytes is kept, and what nobody uses is not."""

import pytest

from mnemos.errors import InvalidInput
from mnemos.migrate.schedule import RetentionSchedule, SegmentStats


def test_a_schedule_keeps_the_most_seconds_for_its_bytes():
    day = 86_400.0
    often = SegmentStats("often", 100, 1.0, 50, 0.0, 9 * day)
    rarely = SegmentStats("rarely", 100, 1.0, 1, 0.0, 9 * day)
    costly = SegmentStats("costly", 100, 40.0, 4, 0.0, 9 * day)
    large = SegmentStats("large", 1_000, 40.0, 4, 0.0, 9 * day)
    old = SegmentStats("old", 1, 100.0, 900, 0.0, 0.0)
    every = [rarely, large, costly, often, old]
    assert RetentionSchedule(nbytes=10_000, ttl=7 * day).keep(every, 10 * day) == ["costly", "often", "large", "rarely"]
    assert RetentionSchedule(nbytes=250, ttl=7 * day).keep(every, 10 * day) == ["costly", "often"]
    assert RetentionSchedule(nbytes=0).keep(every, 10 * day) == []
    with pytest.raises(InvalidInput):
        RetentionSchedule(ttl=0)
