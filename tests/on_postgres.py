"""With MNEMOS_TEST_STORE=postgres every root that a test opens in a folder of its own is a database instead.

So the suites of text run on both stores: `MNEMOS_TEST_STORE=postgres pytest tests/text tests/test_space.py`. A test that is
about files of SQLite is marked `sqlite_only`, with the reason.
"""

import os

import pytest

from mnemos.location import DatabaseUrl

STORE = os.environ.get("MNEMOS_TEST_STORE", "sqlite")
KEPT = 12  # databases: the oldest ones that nobody uses are dropped


def pytest_configure(config):
    config.addinivalue_line("markers", "sqlite_only(reason): not run with MNEMOS_TEST_STORE=postgres")


def pytest_collection_modifyitems(items):
    if STORE == "postgres":
        for item in items:
            for marker in item.iter_markers("sqlite_only"):
                item.add_marker(pytest.mark.skip(reason=marker.args[0]))


@pytest.fixture(scope="session", autouse=STORE == "postgres")
def folders_are_databases(postgres_server):
    """Replace what opens the root of a `Mnemos`."""
    import psycopg

    from mnemos import system
    from mnemos.store.open import open_root

    made = {}

    def database_of(folder):
        key = str(folder.resolve())
        if key not in made:
            made[key] = f"folder{len(made)}"
            with psycopg.connect(postgres_server.url(), autocommit=True) as db:
                db.execute(f"CREATE DATABASE {made[key]} STRATEGY file_copy")
                for old in list(made.values())[-KEPT - 8 : -KEPT]:
                    try:
                        db.execute(f"DROP DATABASE IF EXISTS {old}")
                    except psycopg.errors.ObjectInUse:
                        continue
        return made[key]

    def open_database(where, *args, **options):
        if not isinstance(where, DatabaseUrl):
            where = DatabaseUrl(f"{postgres_server.url(database_of(where))}&pool=4&blobs={where}")
        return open_root(where, *args, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(system, "open_root", open_database)
    yield
    patch.undo()
