"""A space without an embedder, at the T0 of the module."""

import pytest

from mnemos import Mnemos


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path / "root", embedder="none", clock=clock) as memory:
        yield memory


@pytest.fixture
def space(memory):
    return memory.space("ana")
