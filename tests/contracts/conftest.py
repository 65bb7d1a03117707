"""What the suites of this folder share."""

import pytest

from mnemos.location import DatabaseUrl
from mnemos.store.open import open_root
from tests.contracts.stores import KINDS, T0


@pytest.fixture(params=KINDS)
def location(request, tmp_path):
    """Where an installation of each kind is: a folder for this test alone, or a database."""
    if request.param == "postgres":
        return DatabaseUrl(request.getfixturevalue("postgres_url"))
    return tmp_path / "root"


@pytest.fixture
def root(location, tmp_path):
    """An empty root of each kind of store."""
    if not isinstance(location, DatabaseUrl):
        yield open_root(location, "tester", lambda: T0)
        return
    from mnemos.store.blobs import Blobs
    from mnemos.store.postgres import spaces
    from mnemos.store.postgres.database import Database
    from mnemos.store.postgres.store import PostgresStore
    from mnemos.store.postgres.vacuum import Vacuum

    database = Database(location.url)
    vacuum = Vacuum(database)

    class Root:
        def open(self, name):
            spaces.make(database, name, 0)
            blobs = Blobs(tmp_path / f"{name}.kv")
            return PostgresStore(database, name, blobs, vacuum=vacuum, actor="tester", clock=lambda: T0)

    yield Root()
    database.close()


@pytest.fixture
def store(root):
    """The store of a new space."""
    store = root.open("s")
    yield store
    store.close()
