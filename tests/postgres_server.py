"""A real Postgres for tests: a server for each process of the test run, a database for each test.

A test, or a fixture, takes `postgres_url`: the URL of a database of its own that is empty but for the extension vector.
Where no server can be had, it is skipped, with the reason. `postgres_server` is the server, which the tests share: a test that
stops it starts it again, or starts one of its own (TemporaryServer).
"""

import itertools

import pytest

from mnemos.errors import StoreError
from mnemos.store.postgres.temporary import UNSAFE, TemporaryServer

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server():
    """A Postgres that runs until the tests of this process have ended."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -e '.[postgres]'")
    try:
        server = TemporaryServer(tcp=True, settings=UNSAFE)
    except StoreError as error:
        pytest.skip(str(error))
    with server:
        with psycopg.connect(server.url("template1"), autocommit=True) as db:
            db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        yield server


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of a new database, which is dropped after the test."""
    import psycopg

    name = f"test{next(_numbers)}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield postgres_server.url(name)
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")
