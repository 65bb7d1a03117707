"""The log of consolidations: what changed something, newest first, and nothing that names a cube."""

from datetime import UTC, datetime, timedelta

from mnemos import Mnemos
from mnemos.text.consolidate import runs as log
from mnemos.text.consolidate.runs import Run, runs
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 1, 1, tzinfo=UTC)


def test_runs_that_changed_something_are_kept_the_newest_first(tmp_path, monkeypatch, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        space = memory.space("ana")
        assert runs(space.store) == []
        space.add_many([{"content": f"We talked about bread and tea, part {i}.", "session": "s"} for i in range(6)])
        done = space.consolidate()
        assert runs(space.store) == [Run(T0, done.written, 0, 0, done.reconsidered, 0, 0, 0, False)]
        assert done.written == {"session": 1}
        clock.now += timedelta(days=1)
        assert not space.consolidate().changed
        assert len(runs(space.store)) == 1  # nothing was done, nothing is told
        space.policy = Policy(law="fifo", cubes=4, archived_cubes=1)
        space.consolidate()
        assert [(r.at, r.archived, r.erased) for r in runs(space.store)] == [
            (clock.now, 2, 2),
            (T0, 0, 0),
        ]  # the summary went too
        assert len(runs(space.store, limit=1)) == 1
        monkeypatch.setattr(log, "KEPT", 3)
        for i in range(5):
            clock.now += timedelta(days=1)
            space.add_many([{"content": f"number {i} {n}", "session": f"t{i}"} for n in range(3)], reconcile=False)
            space.consolidate()
        assert [r.at for r in runs(space.store)] == [clock.now - timedelta(days=d) for d in range(3)]
