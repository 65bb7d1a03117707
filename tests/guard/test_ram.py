"""What is erased leaves RAM, whoever erases: a user, a policy, a consolidation."""

from datetime import UTC, datetime

import pytest

from mnemos import Mnemos, Policy
from mnemos.cube import MemCube
from mnemos.index.terms import terms
from mnemos.store.values import Entry

T0 = datetime(2024, 3, 4, 12, tzinfo=UTC)
SECRET = "xylophone"
TERM = terms(SECRET)[0]
ERASE_ARCHIVED = Policy(archived_cubes=0)


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        space = memory.space("ana")
        space.add_many({"content": f"note {i}", "session": "s", "id": f"c{i}"} for i in range(4))
        yield space


def in_ram(space):
    """Tell whether the snapshot that is searched holds the secret."""
    held = space.text.view.snapshot
    return held is not None and held.corpus.words.posting(TERM) is not None


def archived(space):
    space.archive([space.add(SECRET, id="secret").id])
    space.policy = ERASE_ARCHIVED


def derived(space, **header):
    """Store a derived cube that is no longer right: the next consolidation erases it."""
    cube = MemCube(id="secret", text=SECRET, space="ana", at=T0, learned=T0, source="mnemos", **header)
    space.store.insert([Entry(cube, (TERM,))], None)


PREPARE = {  # who erases -> what it finds
    "delete": lambda space: space.add(SECRET, id="secret"),
    "forget": lambda space: space.add(SECRET, id="secret"),
    "policy": archived,
    "consolidation by policy": archived,
    "consolidation of a stale episode": lambda space: derived(
        space, kind="episode", parents=("c2",), metadata={"of": "episode:c2", "from": "another cut"}
    ),
    "consolidation of what has no parents": lambda space: derived(
        space, kind="summary", parents=("gone",), metadata={"of": "session:gone", "from": "x", "level": "session"}
    ),
}
ERASE = {
    "delete": lambda space: space.delete("secret"),
    "forget": lambda space: space.forget(["secret"]),
    "policy": lambda space: space.apply_policy(),
}


@pytest.mark.parametrize("who", PREPARE)
def test_what_is_erased_leaves_ram_whoever_erases(space, who):
    PREPARE[who](space)
    space.unarchive(["secret"])
    space.search(SECRET)
    assert in_ram(space)
    space.archive(["secret"] if PREPARE[who] is archived else [])
    ERASE.get(who, lambda space: space.consolidate())(space)
    assert "secret" not in space.store.get(["secret"])
    assert not in_ram(space)
    assert [hit.cube.text for hit in space.search("note 1", 1)] == ["note 1"], "and the rest is found"


def test_what_a_transaction_takes_back_was_not_erased(space):
    space.search("note")
    before = space.text.view.snapshot

    def act():
        with space.store.transaction():
            space.store.erase(["c1"])
            raise RuntimeError("taken back")

    with pytest.raises(RuntimeError, match="taken back"):
        act()
    assert space.text.view.snapshot is before
    assert len(space.search("note", 9)) == 4


def test_an_erased_activation_leaves_the_words_in_ram(space):
    space.search("note")
    before = space.text.view.snapshot
    cube = MemCube(id="kv" * 8, text="", space="ana", at=T0, learned=T0, form="activation", kind="kv", parents=("c1",))
    space.store.insert([Entry(cube, ())], None)
    space.store.erase([cube.id])
    assert space.text.view.snapshot is before
