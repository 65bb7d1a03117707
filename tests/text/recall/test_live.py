"""The view that searches share: what a transaction took back leaves it."""

from __future__ import annotations

import pytest

from mnemos import Mnemos


def test_what_a_transaction_took_back_is_not_found(tmp_path):
    """A search inside a write transaction sees its rows; once they are rolled back, the next search must not."""
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add("I have a dog.")
        with pytest.raises(RuntimeError), space.store.connection.write():
            space.add("I have a parrot.", decide=False)
            assert [hit.cube.text for hit in space.search("parrot")] == ["I have a parrot."]
            raise RuntimeError
        assert space.search("parrot") == []
        space.add("My parrot is green.", decide=False)
        assert [hit.cube.text for hit in space.search("parrot")] == ["My parrot is green."]
