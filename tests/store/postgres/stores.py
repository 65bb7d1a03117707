"""Stores on a database, for the tests of this folder."""

from __future__ import annotations

from contextlib import contextmanager

from mnemos.store.blobs import FileBlobs
from mnemos.store.postgres import spaces
from mnemos.store.postgres.database import Database
from mnemos.store.postgres.store import PostgresStore
from mnemos.store.postgres.vacuum import Vacuum
from tests.contracts.stores import T0


@contextmanager
def opened(url, folder, *names, make=True, **options):
    """Open the stores of some spaces of a database."""
    database = Database(url, **options)
    try:
        for name in names if make else ():
            spaces.make(database, name, 0)
        vacuum = Vacuum(database)
        yield [
            PostgresStore(
                database, name, FileBlobs(folder / f"{name}.kv"), vacuum=vacuum, actor="tester", clock=lambda: T0
            )
            for name in names
        ]
    finally:
        database.close()
