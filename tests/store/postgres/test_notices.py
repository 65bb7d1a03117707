"""Erased text leaves the RAM of other processes without their doing anything."""

from __future__ import annotations

import subprocess
import sys
import time

import psycopg

from mnemos import Mnemos
from tests.contracts.stores import cube, put
from tests.store.postgres.stores import opened

OTHER = """
import sys, time
from mnemos import Mnemos
memory = Mnemos(sys.argv[1], embedder="none")
space = memory.space("ana")
assert [h.cube.text for h in space.search("xylophone")] == ["the xylophone is in the attic"]
held = lambda: len(space.text.view.snapshot)
print(held(), flush=True)
while held() == 2:
    time.sleep(0.01)
print(held(), flush=True)
"""


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_view_in_another_process_loses_what_is_erased(postgres_url):
    with Mnemos(postgres_url, embedder="none") as memory:
        space = memory.space("ana")
        erased, _ = space.add("the xylophone is in the attic"), space.add("tea is ready")
        other = subprocess.Popen([sys.executable, "-c", OTHER, postgres_url], stdout=subprocess.PIPE, text=True)
        try:
            assert other.stdout.readline() == "2\n"
            space.forget(ids=[erased.id])
            assert other.stdout.readline() == "1\n"
            assert other.wait(30) == 0
        finally:
            other.kill()
            other.stdout.close()


def test_only_the_space_is_told_and_only_while_it_listens(postgres_url, tmp_path):
    with opened(postgres_url, tmp_path, "a", "b") as (a, b):
        put(a, cube("x"), cube("y"), cube("z"))
        put(b, cube("x"))
        heard = []
        stop = a.on_stale(lambda: heard.append("a"))
        b.on_stale(lambda: heard.append("b"))
        until(lambda: _listeners(postgres_url))
        a.erase(["x"])
        until(lambda: heard)
        put(a, cube("later"))
        b.erase(["x"])
        until(lambda: len(heard) == 2)
        assert heard == ["a", "b"]
        with psycopg.connect(postgres_url, autocommit=True) as db:  # and after the connection was lost
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        stop()
        a.erase(["y"])
        b.close()
    until(lambda: not _listeners(postgres_url))


def _listeners(url):
    with psycopg.connect(url) as db:
        return db.execute(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid != pg_backend_pid()"
        ).fetchall()
