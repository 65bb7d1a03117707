"""A temporary Postgres is a real one with pgvector, and leaves nothing behind, however its owner ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")
psutil = pytest.importorskip("psutil")
from mnemos.errors import StoreError
from mnemos.store.postgres import temporary
from mnemos.store.postgres.temporary import UNSAFE, TemporaryServer

OWNER = """
import sys, time
from mnemos.store.postgres.temporary import TemporaryServer
server = TemporaryServer()
print(server.folder, flush=True)
time.sleep(60)
"""


def test_each_test_gets_a_database_with_pgvector(postgres_server, postgres_url):
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT '[1,2]'::halfvec <=> '[2,4]'").fetchone()[0] == pytest.approx(0)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url(tcp=True, password="wrong"))


def test_programs_that_cannot_be_run_are_told(tmp_path, monkeypatch):
    (tmp_path / "initdb").write_text("no program")
    monkeypatch.setattr(temporary, "programs", lambda: tmp_path)
    with pytest.raises(StoreError, match="cannot run initdb"):
        TemporaryServer()


def test_what_was_committed_outlives_a_crash_of_the_server(postgres_server):  # one can be had here
    with TemporaryServer() as server:
        with psycopg.connect(server.url(), autocommit=True) as db:
            db.execute("CREATE TABLE t (n int)")
            db.execute("INSERT INTO t VALUES (7)")
        server.stop("immediate")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url())
        server.start()
        with psycopg.connect(server.url()) as db:
            assert db.execute("SELECT n FROM t").fetchall() == [(7,)]
    assert not server.folder.exists()


def test_the_server_ends_with_a_killed_owner(postgres_server):
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    folder = Path(owner.stdout.readline().strip())
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    until = time.monotonic() + 20
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not folder.exists()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_unsafe_settings_reach_the_server(postgres_url):
    with psycopg.connect(postgres_url) as db:
        for name, value in UNSAFE.items():
            assert db.execute(f"SHOW {name}").fetchone()[0] == value
