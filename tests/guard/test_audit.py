"""The audit log says who did what, by the verbs of a space."""

import json
from datetime import UTC, datetime

from mnemos import Mnemos
from mnemos.store.audit import acting

T0 = datetime(2024, 1, 1, tzinfo=UTC)


def test_the_audit_log_says_who_did_what_and_names_no_cube(tmp_path):
    with Mnemos(tmp_path, embedder="none", actor="bo", clock=lambda: T0) as memory:
        space = memory.space("ana")
        cube = space.add("I live in Porto.")
        space.update(cube.id, content="I live in Faro.")
        with acting("carla"):
            space.pin(cube.id)
        space.forget([cube.id])
        entries = space.store.audit.entries()
        assert [(e.actor, e.action, e.cubes) for e in entries] == [
            ("bo", "add", 1), ("bo", "update", 1), ("carla", "pin", 1), ("bo", "erase", 1),
        ]  # fmt: skip
        assert len({e.digest for e in entries}) == 1
        assert cube.id not in json.dumps([e.digest for e in entries])
        assert space.store.audit.verify(entries[1].chain) == (4, [])
        assert space.store.audit.verify("00")[1] == [
            "the head that was given is not in the log: entries were cut off, or it is of another space"
        ]
