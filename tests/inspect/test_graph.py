"""The graph of a space: bounded, closed, and all of the space."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput, NotFound
from mnemos.facts import Link
from mnemos.inspect.graph import EDGES

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
N = 14
NAMES = count()


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("root"), embedder="none", clock=lambda: T0) as memory:
        yield memory


def linked(memory, links):
    """Return a new space of N cubes with these links."""
    space = memory.space(f"space {next(NAMES)}")
    space.add_many(
        [
            {"content": f"note {i}", "id": f"here{i}", "session": f"s{i // 7}", "at": T0 + timedelta(hours=i)}
            for i in range(N)
        ],
        reconcile=False,
    )
    space.store.links.put(links, 1)
    return space


def steps(space, around, kind):
    """How many links lead from a cube to each other one, by `Space.links`."""
    found, frontier = {around: 0}, [around]
    while frontier:
        name = frontier.pop(0)
        for x in space.links(name, kind=kind):
            other = x.b if x.a == name else x.a
            if other not in found:
                found[other] = found[name] + 1
                frontier.append(other)
    return found


PAIRS = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, N - 1), st.sampled_from(["similar", "supersedes", "co-recalled"])),
    max_size=40,
    unique=True,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    PAIRS, st.one_of(st.none(), st.integers(0, N - 1)), st.integers(1, 3), st.integers(1, N),
    st.sampled_from([None, "similar", "follows", "derived from"]),
)  # fmt: skip
def test_a_graph_is_bounded_and_both_ends_of_each_link_are_in_it(memory, pairs, around, depth, limit, kind):
    space = linked(memory, [Link(f"here{a}", f"here{b}", k, 0.5) for a, b, k in pairs])
    centre = None if around is None else f"here{around}"
    found = space.inspect.graph(around=centre, depth=depth, limit=limit, kind=kind)
    names = [c.id for c in found.cubes]
    assert 1 <= len(names) == len(set(names)) <= limit
    assert len(found.links) <= EDGES * limit
    assert all(name.startswith("here") for name in names)
    assert all({x.a, x.b} <= set(names) and kind in (None, x.kind) for x in found.links)
    there = {(x.a, x.b, x.kind, x.weight) for name in names for x in space.links(name)}
    assert {(x.a, x.b, x.kind, x.weight) for x in found.links} <= there
    if centre:
        far = steps(space, centre, kind)
        assert names[0] == centre
        assert all(far[name] <= depth for name in names)
        assert len(names) == min(limit, sum(d <= depth for d in far.values()))  # nothing that fits is left out
        assert [far[name] for name in names] == sorted(far[name] for name in names)  # the nearest first


def test_kept_links_between_the_cubes_shown_are_all_there(memory):
    wanted = {("here0", "here2"), ("here2", "here4"), ("here4", "here0"), ("here4", "here6")}
    space = linked(memory, [Link(a, b, "similar", 0.5) for a, b in wanted])
    found = space.inspect.graph(around="here0", kind="similar")
    assert {(x.a, x.b) for x in found.links} == wanted - {("here4", "here6")}


def test_without_a_centre_it_starts_from_the_most_linked(memory):
    strong = [Link("here3", f"here{i}", "similar", i / N) for i in range(4, N)]
    space = linked(memory, [*strong, Link("here0", "here1", "similar")])
    found = space.inspect.graph(limit=4, kind="similar")
    assert [c.id for c in found.cubes] == ["here3", "here13", "here12", "here11"]  # and the strongest of its links
    newest = linked(memory, []).inspect.graph(limit=4, kind="similar")
    assert [c.id for c in newest.cubes] == ["here13"]  # where there are no links


def test_a_hub_does_not_make_it_large(memory):
    space = memory.space("hub")
    space.add_many([{"content": f"n{i}", "id": f"h{i}"} for i in range(400)], reconcile=False)
    space.store.links.put([Link("h0", f"h{i}", k, 0.5) for i in range(1, 400) for k in ("similar", "supports")], 1)
    found = space.inspect.graph(around="h0", depth=3, limit=20)
    assert (len(found.cubes), len(found.links)) == (20, 38)


def test_links_that_follow_from_the_rows_are_there_too(memory):
    space = memory.space("life")
    space.add("I live in Porto.", speaker="Ana", session="a", at=T0, id="p")
    space.add("I love bread.", speaker="Ana", session="a", at=T0 + timedelta(hours=1), id="q")
    space.add("I moved to Faro.", speaker="Ana", session="b", at=T0 + timedelta(hours=2), id="r")
    kinds = {(x.a, x.b, x.kind) for x in space.inspect.graph(around="p").links}
    assert ("q", "p", "follows") in kinds
    assert ("r", "p", "supersedes") in kinds
    assert ("p", "r", "same entity") in kinds


def test_what_is_out_of_range_or_elsewhere_is_refused(memory):
    space = memory.space("here")
    for options in ({"depth": 0}, {"depth": 4}, {"limit": 0}, {"limit": 201}):
        with pytest.raises(InvalidInput, match="expected a whole number from 1 to"):
            space.inspect.graph(**options)
    memory.space("other").add("elsewhere", id="other0")
    with pytest.raises(NotFound):
        space.inspect.graph(around="other0")
    assert memory.space("empty").inspect.graph().cubes == []
