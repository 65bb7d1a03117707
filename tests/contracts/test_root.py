"""What every root promises of its spaces."""

from __future__ import annotations

import pytest

from mnemos.errors import Conflict, NotFound
from tests.contracts.stores import cube, put


def test_a_root_knows_its_spaces(root):
    assert root.inventory() == []
    for name in ("ana", "a/b", "Ana"):
        root.open(name).close()
    assert sorted(s.name for s in root.inventory()) == ["Ana", "a/b", "ana"]
    assert all(s.nbytes > 0 and not s.problem for s in root.inventory())
    assert root.exists("a/b")
    assert not root.exists("nobody")
    root.remove("a/b")
    assert not root.exists("a/b")
    with pytest.raises(NotFound):
        root.remove("a/b")


def test_a_backup_is_one_moment_of_a_space_and_is_put_back(root, tmp_path):
    store = root.open("ana")
    put(store, cube("a", "one"))
    path = root.backup("ana", tmp_path / "ana.backup")
    put(store, cube("b", "two"))
    store.close()
    with pytest.raises(Conflict):
        root.restore(path, name=None, replace=False, release=lambda name: None)
    released = []
    assert root.restore(path, name=None, replace=True, release=released.append) == ("ana", [])
    assert released == ["ana"]
    assert root.restore(path, name="copy", replace=False, release=released.append) == ("copy", [])
    for name in ("ana", "copy"):
        again = root.open(name)
        assert again.get(["a", "b"]).keys() == {"a"}
        assert again.audit.verify() == (1, [])
        again.close()
    assert released == ["ana"]
