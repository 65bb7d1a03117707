import json
from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput, NotFound
from mnemos.text.forget.laws import law_names
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def fill(space, clock, count=10):
    cubes = []
    for i in range(count):
        cubes.append(space.add(f"note number {i} about apples", id=f"c{i}"))
        clock.now += timedelta(days=1)
    return cubes


def active(space):
    return [c.id for c in space.cubes(limit=1_000).items]


def test_nothing_is_let_go_of_by_default(space, clock):
    fill(space, clock)
    clock.now += timedelta(days=10_000)
    assert not space.apply_policy()
    assert space.count() == 10


def test_over_the_budget_the_least_kept_are_archived_and_can_come_back(space, clock):
    fill(space, clock)
    space.policy = Policy(law="fifo", cubes=4)
    assert space.apply_policy(preview=True).archived == tuple(f"c{i}" for i in range(6))
    assert space.count() == 10
    faded = space.apply_policy()
    assert (faded.archived, faded.erased) == (tuple(f"c{i}" for i in range(6)), ())
    assert active(space) == ["c6", "c7", "c8", "c9"]
    assert {h.cube.id for h in space.search("apples", k=50)} == {"c6", "c7", "c8", "c9"}
    assert space.unarchive(["c0", "c9"]) == ["c0"]
    assert "c0" in {h.cube.id for h in space.search("apples", k=50)}
    assert space.apply_policy().archived == ("c0",)  # it is over the budget again
    assert not space.apply_policy()


def test_what_is_used_stays(space, clock):
    fill(space, clock)
    space.policy = Policy(law="ebbinghaus", cubes=3)
    for _ in range(5):
        clock.now += timedelta(days=3)
        space.search("note number 2", k=1)
    assert [cube.id for cube, _ in space.inspect.due_soon().archive] == list(space.apply_policy(preview=True).archived)
    space.apply_policy()
    assert "c2" in active(space)
    assert space.count() == 3


@pytest.mark.parametrize("law", law_names())
def test_recalls_that_wait_in_ram_count_by_every_law(tmp_path, clock, law):
    left = {}
    for way in ("fifo", "waiting", "written"):
        clock.now = T0
        with Mnemos(tmp_path / way, embedder="none", clock=clock) as memory:
            space = memory.space("ana")
            space.policy = Policy(law="fifo" if way == "fifo" else law, cubes=4)
            fill(space, clock)
            for _ in range(7):
                clock.now += timedelta(seconds=5)
                assert space.search("note number 0", k=1)[0].cube.id == "c0"
            if way == "written":
                space.flush()
            assert space.apply_policy(preview=True) == space.apply_policy()
            left[way] = active(space)
    assert "c0" not in left["fifo"]
    assert left["waiting"] == left["written"]
    assert "c0" in left["waiting"] or law in ("fifo", "random", "ttl"), "laws that do not look at recalls"


def test_recalls_of_another_process_count_after_a_minute(tmp_path, clock):
    with (
        Mnemos(tmp_path, embedder="none", clock=clock) as server,
        Mnemos(tmp_path, embedder="none", clock=clock) as nightly,
    ):
        fill(server.space("ana"), clock)
        for wait, seen in ((0, 0), (59, 0), (2, 3)):
            clock.now += timedelta(seconds=wait)
            server.space("ana").search("note number 0", k=1)
            assert nightly.space("ana").get("c0").recalls == seen
        nightly.space("ana").policy = Policy(law="lru", cubes=2)
        nightly.space("ana").apply_policy()
        assert "c0" in active(nightly.space("ana"))


def test_recalls_count_by_the_law_under_which_they_happened(space, clock):
    fill(space, clock, 2)
    space.policy = Policy(law="fifo")
    space.search("note number 0", k=1)
    space.policy = Policy(law="ebbinghaus")
    assert (space.get("c0").recalls, space.get("c0").strength) == (1, 1.0)


def test_below_a_retention_memories_are_archived(space, clock):
    fill(space, clock, 4)
    space.policy = Policy(law="ebbinghaus", constants={"days": 10.0}, min_retention=0.5)  # half life 6.9 days
    clock.now = T0 + timedelta(days=8.5)
    space.apply_policy()
    assert active(space) == ["c2", "c3"]


def test_pinned_cubes_stay(space, clock):
    fill(space, clock)
    space.pin("c0")
    space.policy = Policy(law="fifo", cubes=2)
    space.apply_policy()
    assert active(space) == ["c0", "c9"]
    space.unpin("c0")
    space.policy = Policy(law="fifo", cubes=1)
    space.apply_policy()
    assert active(space) == ["c9"]
    with pytest.raises(NotFound):
        space.pin("nobody")


@pytest.mark.sqlite_only("it reads the bytes of the file")
def test_archived_cubes_over_their_budget_are_erased(space, clock):
    fill(space, clock)
    space.policy = Policy(law="fifo", cubes=5, archived_cubes=2)
    faded = space.apply_policy()
    assert (faded.archived, set(faded.erased)) == (tuple(f"c{i}" for i in range(5)), {"c0", "c1", "c2"})
    with pytest.raises(NotFound):
        space.get("c0")
    assert space.get("c3").state == "archived"
    assert b"note number 0" not in space.store.path.read_bytes()


def test_bytes_and_days_are_budgets_too(space, clock):
    fill(space, clock)
    size = len("note number 0 about apples")
    space.policy = Policy(law="lru", bytes=3 * size)
    space.apply_policy()
    assert active(space) == ["c7", "c8", "c9"]
    space.policy = Policy(law="lru", days=2.5)
    space.apply_policy()
    assert active(space) == ["c8", "c9"]


def test_a_policy_is_kept_in_the_file(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        memory.space("ana").policy = Policy(law="power", constants={"d": 0.3}, cubes=7)
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        assert memory.space("ana").policy == Policy(law="power", constants={"d": 0.3}, cubes=7)
        assert memory.space("ana").text.law.d == 0.3


@pytest.mark.parametrize(
    "bad", [{"law": "nothing"}, {"cubes": -1}, {"days": "many"}, {"constants": {"x": 1}}, {"cubes": True}]
)
def test_a_policy_that_cannot_be_is_refused(bad):
    with pytest.raises((InvalidInput, NotFound)):
        Policy(**bad)


def test_spaced_recalls_strengthen_more_than_massed_ones(space, clock):
    fill(space, clock, 2)
    clock.now = T0 + timedelta(days=5)
    for _ in range(10):
        space.text.recalled(["c0"])
        clock.now += timedelta(seconds=5)
    space.flush()
    clock.now = T0 + timedelta(days=5)
    for _ in range(10):
        space.text.recalled(["c1"])
        clock.now += timedelta(days=7)
    space.flush()
    massed, spaced = space.get("c0"), space.get("c1")
    assert massed.recalls == spaced.recalls == 10
    assert 1 < massed.strength < 2.1
    assert spaced.strength > massed.strength + 4


def test_what_is_recalled_together_is_linked(space, clock):
    fill(space, clock, 3)
    for _ in range(3):
        space.text.recalled(["c0", "c2"])
    space.text.recalled(["c1"])
    space.flush()
    assert [(x.a, x.b, x.weight) for x in space.links(kind="co-recalled")] == [("c0", "c2", 3.0)]


def test_a_superseded_cube_is_not_counted_against_the_budget(space, clock):
    space.add("I live in Porto.", speaker="Ana")
    space.add("I moved to Faro.", speaker="Ana")
    space.policy = Policy(law="fifo", cubes=1)
    assert not space.apply_policy()
    space.policy = Policy(law="fifo", cubes=1)
    assert not space.apply_policy()


@pytest.mark.parametrize(("stored", "law"), [("use", "hema"), ("heat", "memoryos-heat"), ("lru", "lru")])
def test_a_policy_stored_under_the_names_of_0_1_is_read(stored, law):
    old = json.dumps({"law": stored, "constants": {}, "below": 0.25, "cubes": 9})
    assert Policy.from_json(old) == Policy(law=law, min_retention=0.25, cubes=9)
    assert Policy.from_json(Policy(law=law).to_json()) == Policy(law=law)
    assert Policy.from_json("{}") == Policy()
    with pytest.raises(InvalidInput, match="not a policy"):
        Policy.from_json('{"bellow": 1}')
    with pytest.raises(InvalidInput, match="not a policy"):
        Policy.from_json("[]")
