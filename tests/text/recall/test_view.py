"""The view that searches share: what a transaction took back leaves it."""

from __future__ import annotations

import pytest

from mnemos import Mnemos


def test_what_a_transaction_took_back_is_not_found(tmp_path):
    """A search inside a write transaction sees its rows; once they are rolled back, the next search must not."""
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add("I have a dog.")
        seen = []

        def act():
            with space.store.transaction():
                space.add("I have a parrot.", reconcile=False)
                seen.extend(hit.cube.text for hit in space.search("parrot"))
                raise RuntimeError("taken back")

        with pytest.raises(RuntimeError, match="taken back"):
            act()
        assert seen == ["I have a parrot."]
        space.add("The cat sleeps.", reconcile=False)
        assert space.search("parrot") == []
        assert [hit.cube.text for hit in space.search("cat")] == ["The cat sleeps."]
