"""What the small parts of a system keep: `pytest tests/contracts/test_text_parts.py -k NAME` checks one of them."""

import warnings
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.cube import Hit, MemCube
from mnemos.embed import load
from mnemos.errors import Conflict, EmbedderError
from mnemos.registry import all_entries
from mnemos.store.values import Filter
from mnemos.text.base import Asked, Encoder, Gate, Reranker, Selector, Updater
from mnemos.text.null import NoEncoder, NoGate, NoReranker, NoSelector, NoUpdater

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)


def every(kind, null):
    methods = {"null": null, **{e.name: e.target() for e in all_entries("text", kind=kind)}}
    return pytest.mark.parametrize("part", methods.values(), ids=methods.keys())


gates, selectors, encoders, rerankers, updaters = (
    every("gate", NoGate()),
    every("selector", NoSelector()),
    every("encoder", NoEncoder()),
    every("reranker", NoReranker()),
    every("updater", NoUpdater()),
)


class Broken:
    """An embedder that fails."""

    name, revision, dimension = "broken", "1", 4

    def embed(self, texts, *, progress=None):
        raise EmbedderError("no")


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory.space("ana")


def cube(text, id="c", **more):
    return MemCube(id=id, text=text, space="ana", at=T0, learned=T0, **more)


@encoders
def test_an_encoder_makes_an_entry_of_each_cube_and_changes_none(part):
    assert isinstance(part, Encoder)
    cubes = [cube("I was in Porto yesterday.", "a"), cube("\u3042", "b"), cube("?!", "c")]
    entries = part.encode(cubes, load("hashing"))
    assert [e.cube for e in entries] == cubes
    again = part.encode(cubes, load("hashing"))
    assert [(e.terms, e.dates) for e in entries] == [(e.terms, e.dates) for e in again]
    assert all(e.vector is None or len(e.vector) == 512 for e in entries)
    assert part.encode([], load("hashing")) == []
    assert all(e.vector is None for e in part.encode(cubes, None))


@encoders
def test_an_embedder_that_fails_costs_no_memory(part):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [entry] = part.encode([cube("text")], Broken())
    assert (entry.cube.text, entry.vector) == ("text", None)


def hits_of(space, query):
    """Return the hits of a search that were not reranked."""
    rows = [(key, c) for key, c in space.store.select(Filter(superseded=True)) if c.text != query]
    return [(key, Hit(c, 1.0 - i / 10, {"bm25": 1.0 - i / 10})) for i, (key, c) in enumerate(rows)]


@rerankers
@pytest.mark.parametrize("superseded", [False, True])
def test_a_reranker_gives_at_most_k_hits_that_pass_the_filter_and_writes_nothing(part, space, superseded):
    assert isinstance(part, Reranker)
    space.add("I live in Porto. It rains.", speaker="Ana", id="old", session="s")
    space.add("I live in Faro now.", speaker="Ana", id="new", session="s")
    space.add("The cat sleeps.", speaker="Ana", id="cat", session="s")
    question, filter = "Where does Ana live?", Filter(superseded=superseded)
    hits = hits_of(space, question)
    before, dump = list(hits), list(space.dump())
    for k in (1, 2, 10):
        with space.store.transaction(write=False):
            found = part.rerank(space.store, Asked(question), hits, filter, k)
            assert part.rerank(space.store, Asked(question), hits, filter, k) == found
        assert len(found) <= k
        keys = [key for key, _ in found]
        assert len(set(keys)) == len(keys)
        for key, hit in found:
            assert sum(hit.why.values()) == pytest.approx(hit.score)
            assert key in dict(hits) or space.store.matching(filter, [key]) == {key}
    assert hits == before
    assert list(space.dump()) == dump
    with space.store.transaction(write=False):
        assert [hit.cube.id for _, hit in part.rerank(space.store, Asked("What time is it?"), [], filter, 5)] == []


@updaters
def test_an_updater_stores_every_text_or_none_and_returns_a_cube_for_each(part, space):
    assert isinstance(part, Updater)
    memory = space.text
    first = memory.encode([cube("I live in Porto.", "a", speaker="Ana"), cube("The cat sleeps.", "b", session="s")])
    stored = part.add(memory, first)
    assert [c.text for c in stored] == ["I live in Porto.", "The cat sleeps."]
    assert [space.get(c.id).text for c in stored] == ["I live in Porto.", "The cat sleeps."]
    count = space.count()
    taken = memory.encode([cube("new", "n"), cube("other words", "b")])
    with pytest.raises(Conflict):  # this id is taken: nothing of the batch is stored
        part.add(memory, taken)
    assert space.count() == count
    assert part.add(memory, []) == []


@updaters
def test_every_text_is_stored_as_it_is_and_nothing_is_overwritten(part, space):
    memory = space.text
    texts = ("I live in Porto.", "I live in Porto.", "I moved to Faro.", "I moved to Faro.")
    entries = memory.encode([cube(t, f"c{i}", session="s", speaker="Ana") for i, t in enumerate(texts)])
    assert [c.id for c in part.add(memory, entries)] == ["c0", "c1", "c2", "c3"]
    assert [space.get(f"c{i}").text for i in range(4)] == list(texts)
    assert [{v.text for v in space.history(f"c{i}")} for i in range(4)] == [{t} for t in texts]  # of all versions


@updaters
def test_a_revision_is_the_next_version_and_the_one_before_is_kept(part, space):
    memory = space.text
    part.add(memory, memory.encode([cube("I live in Porto.", speaker="Ana")]))
    part.revise(memory, memory.encode([cube("I live in Faro.", speaker="Ana", version=2)])[0])
    assert [c.text for c in space.history("c")] == ["I live in Porto.", "I live in Faro."]
    with pytest.raises(Conflict):
        part.revise(memory, memory.encode([cube("I live in Braga.", speaker="Ana", version=2)])[0])
    assert space.get("c").text == "I live in Faro."


@gates
def test_a_gate_answers_yes_or_no_and_writes_nothing(part, space):
    assert isinstance(part, Gate)
    space.add("I live in Porto.", speaker="Ana", session="s")
    dump = list(space.dump())
    assert [part.needs(space.text, text) for text in ("Where do I live?", "What did Ana say about Porto?")] == [
        True,
        True,
    ]
    for text in ("?", "\u3042", "Thanks!", "word " * 2_000):
        assert part.needs(space.text, text) is part.needs(space.text, text)
    assert list(space.dump()) == dump


@gates
def test_a_gate_that_is_closed_shows_no_hits_and_a_search_does_not_ask_it(part, space):
    space.add("I live in Porto.", speaker="Ana", session="s")
    space.text.use(replace(space.text.system, gate=part))
    assert bool(space.context("Thanks!", min_score=0.0)) is part.needs(space.text, "Thanks!")
    assert [h.cube.text for h in space.search("Porto", k=1)] == ["I live in Porto."]


@selectors
@pytest.mark.parametrize("superseded", [False, True])
def test_a_selector_shows_cubes_of_the_filter_once_and_writes_nothing(part, space, superseded):
    assert isinstance(part, Selector)
    for i in range(12):
        space.add(f"On day {i} I planted leeks. " * (1 + 40 * (i % 2)), speaker="Ana", id=f"c{i}", session=f"s{i % 3}")
    space.add("I live in Porto.", speaker="Ana", id="old", session="s0")
    space.add("I live in Faro now.", speaker="Ana", id="new", session="s1")
    space.consolidate()
    dump = list(space.dump())
    for filter in (Filter(superseded=superseded), Filter(session="s1", superseded=superseded)):
        keys = {key for key, _ in space.store.select(filter)}
        hits = [(key, hit) for key, hit in hits_of(space, "leeks") if key in keys]
        for given in ([], hits[:3], hits):
            found = part.select(space.text, "When did I plant leeks?", given, filter)
            assert part.select(space.text, "When did I plant leeks?", given, filter) == found
            assert len({key for key, _ in found}) == len(found)
            derived = {h.cube.id for _, h in found if h.cube.parents}
            shown = [key for key, h in found if h.cube.id not in derived]
            assert space.store.matching(filter, shown) == set(shown)
            assert not derived or filter.selects_all  # what was made of others has words that a filter hides
    assert list(space.dump()) == dump


@selectors
def test_what_a_selector_shows_is_cited_and_can_be_forgotten(part, space):
    space.add("I live in Porto.", speaker="Ana", id="home", session="s")
    space.text.use(replace(space.text.system, select=(part,)))
    assert "Porto" in space.context("Where do I live?", min_score=0.0)
    space.forget(["home"])
    assert "Porto" not in space.context("Where do I live?", min_score=0.0)
