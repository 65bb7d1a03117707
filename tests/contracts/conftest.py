"""What the suites of this folder share."""

import pytest

from tests.contracts.stores import ROOTS


@pytest.fixture(params=ROOTS)
def root(request, tmp_path):
    """An empty root of each kind of store."""
    return ROOTS[request.param](tmp_path)


@pytest.fixture
def store(root):
    """The store of a new space."""
    store = root.open("s")
    yield store
    store.close()
