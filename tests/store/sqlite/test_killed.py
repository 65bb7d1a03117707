"""Old files, and processes that are killed in the middle of an erasure or a migration."""

import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.facts import Link
from mnemos.index.terms import terms
from mnemos.store.sqlite import schema

T0 = datetime(2024, 1, 1, tzinfo=UTC)


def make_old(path, texts):
    """Write a file as the first version of the schema had it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    schema._run(db, schema._V1)
    db.execute("INSERT INTO meta VALUES ('space', 'ana')")
    db.execute(
        "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT)"
    )
    db.execute("INSERT INTO _sqlite_migrations VALUES (1, 'mnemos', '0001_first_schema', '2024')")
    db.execute("BEGIN")
    for n, text in enumerate(texts, 1):
        values = (n, f"c{n}", 1, "text", "turn", "active", text, None, "Ana", None, None, n * 10**12, 0, n * 10**12)
        db.execute(
            "INSERT INTO cubes (n, id, version, form, kind, state, text, session, speaker, role, source, at, at_offset, "
            "learned, strength, recalls, metadata, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1.0, 0, '{}', 1)",
            values,
        )
        db.execute("INSERT INTO words VALUES (?, ?)", (n, " ".join(terms(text))))
    db.execute("UPDATE counter SET seq = 1")
    db.execute("COMMIT")
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.close()


def test_a_file_of_the_first_schema_is_brought_up_to_date_and_loses_nothing(tmp_path):
    make_old(tmp_path / "ana.mnemos", ["I live in Porto.", "I moved to Faro.", "I like tea."])
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        assert [c.text for c in space.cubes().items] == ["I live in Porto.", "I moved to Faro.", "I like tea."]
        assert space.facts() == []
        assert space.consolidate().reconsidered == 3
        assert [f.value for f in space.facts("ana", "live in")] == ["Faro"]
        assert space.get("c1").state == "superseded"
        assert space.doctor().healthy


def test_links_of_the_second_schema_are_renamed(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        for name in "ab":
            memory.space("ana").add(f"note {name}", id=name)
        memory.space("ana").store.links.put([Link("a", "b", "recalled with", 3.0)], 1)
    with closing(sqlite3.connect(tmp_path / "ana.mnemos", isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 2")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = '0003_co_recalled'")
    with Mnemos(tmp_path, embedder="none") as memory:
        assert memory.space("ana").links("a") == [Link("a", "b", "co-recalled", 3.0)]


OPEN = """
import sys
from mnemos import Mnemos
print("ready", flush=True)
space = Mnemos(sys.argv[1], embedder="none").space("ana")
if len(sys.argv) > 2:
    print("open", flush=True)
    space.forget([f"c{i}" for i in range(0, 4000, 2)])
print("done", flush=True)
"""


def killed(root, delay, *arguments, after=b"ready"):
    worker = subprocess.Popen([sys.executable, "-c", OPEN, str(root), *arguments], stdout=subprocess.PIPE)
    while worker.stdout.readline().strip() != after:
        assert worker.poll() is None
    time.sleep(delay)
    worker.send_signal(signal.SIGKILL)
    worker.wait()


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_migration_that_is_killed_is_done_by_the_next_one_who_opens(tmp_path, delay):
    make_old(tmp_path / "ana.mnemos", [f"This is note {i}." for i in range(4_000)])
    killed(tmp_path, delay)
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        assert space.store.checks.integrity() == []
        assert space.count() == 4_000
        assert len(space.store.queue.pending()) == 4_000


def test_an_erasure_that_is_killed_can_be_run_again_and_leaves_nothing(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("ana").add_many(
            {"content": f"secret number {10**15 + i} is kept", "id": f"c{i}"} for i in range(4_000)
        )
    for delay in (0.0, 0.01, 0.03, 0.1, 0.3):
        try:
            killed(tmp_path, delay, "erase", after=b"open")
        except AssertionError:
            break  # it was done before it could be killed
        with Mnemos(tmp_path, embedder="none") as memory:
            space = memory.space("ana")
            assert space.store.checks.integrity() == []
            assert space.count() in (2_000, 4_000)
            assert space.store.remains.orphans() == 0
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        doomed = [f"c{i}" for i in range(0, 4_000, 2)]
        if there := list(space.store.get(doomed)):
            assert space.forget(there).verified
        else:
            space.store.tidy()
        data = b"".join(p.read_bytes() for p in tmp_path.iterdir())
        assert space.count() == 2_000
        left = set(re.findall(rb"(?=(1000000000\d{6}))", data))
        assert len(left) >= 2_000
        assert not left & {str(10**15 + i).encode() for i in range(0, 4_000, 2)}
