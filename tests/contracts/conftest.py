"""What the suites of this folder share."""

import pytest

from mnemos.location import DatabaseUrl
from mnemos.store.open import open_root
from tests.contracts.stores import KINDS, T0


@pytest.fixture(params=KINDS)
def location(request, tmp_path):
    """Where an installation of each kind is: a folder for this test alone, or a database."""
    if request.param == "postgres":
        return DatabaseUrl(f"{request.getfixturevalue('postgres_url')}&blobs={tmp_path / 'blobs'}")
    return tmp_path / "root"


@pytest.fixture
def root(location):
    """An empty root of each kind of store."""
    root = open_root(location, "tester", lambda: T0)
    yield root
    root.close()


@pytest.fixture
def store(root):
    """The store of a new space."""
    store = root.open("s")
    yield store
    store.close()
