"""LangGraph's store in a space, compared with LangGraph's in-memory store, and in a compiled graph."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("langgraph")

from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp  # noqa: E402
from langgraph.store.memory import InMemoryStore  # noqa: E402

from mnemos import Mnemos  # noqa: E402
from mnemos.adapters.langgraph import MnemosStore  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402

START = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        self.now += timedelta(milliseconds=1)
        return self.now


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="hashing", clock=Clock()) as m:
        yield m.space("graph")


@pytest.fixture
def store(space):
    return MnemosStore(space)


def keys(items):
    return [item.key for item in items]


def test_items_are_put_got_changed_and_deleted(store, space):
    users = ("users", "ana")
    value = {"memory": "Ana likes tea", "n": 1.5, "tags": ["a", {"b": None}], "empty": {}, "ü": "日本"}
    store.put(users, "k", value)
    item = store.get(users, "k")
    assert (item.value, item.key, item.namespace, item.created_at) == (value, "k", users, item.updated_at)
    store.put(users, "k", {"memory": "Ana likes coffee"})
    store.put(users, "k", {"memory": "Ana likes coffee"})
    again = store.get(users, "k")
    assert again.value == {"memory": "Ana likes coffee"}
    assert again.created_at == item.created_at < item.updated_at + timedelta(milliseconds=1) <= again.updated_at
    assert [v.value["memory"] for v in store.versions(users, "k")] == ["Ana likes tea", *["Ana likes coffee"] * 2]
    assert store.get(("users",), "k") is store.get(users, "x") is store.get(("users", "ana", "k"), "k") is None
    store.delete(users, "k")
    store.delete(users, "k")
    assert store.get(users, "k") is None
    assert store.versions(users, "k") == []
    assert space.count() == 0
    store.put(users, "k", {"memory": "back"})
    assert len(store.versions(users, "k")) == 1


def test_a_query_finds_by_words_within_a_prefix(store):
    store.put(("users", "ana"), "tea", {"memory": "Ana likes green tea"})
    store.put(("users", "ana"), "bike", {"memory": "Ana rides a bike to work"})
    store.put(("users", "ben"), "tea", {"memory": "Ben drinks green tea too"})
    store.put(("users", "ana"), "quiet", {"memory": "green tea, not indexed"}, index=False)
    found = store.search(("users", "ana"), query="green tea")
    assert keys(found)[0] == "tea"
    assert {item.namespace for item in found} == {("users", "ana")}
    assert found[0].score > 0
    assert (found[-1].key, found[-1].score) == ("quiet", None)
    assert {item.namespace[1] for item in store.search((), query="green tea", limit=2)} == {"ana", "ben"}
    assert keys(store.search(("users",), query="green tea", limit=1, offset=1)) == ["tea"]
    assert store.search(("user",), query="green tea") == []


def test_fields_choose_what_is_searched(space):
    store = MnemosStore(space, fields=["title", "parts[*].text"])
    store.put(("d",), "a", {"title": "Trains", "parts": [{"text": "steam"}], "note": "zebra"})
    store.put(("d",), "b", {"title": "Zoo", "note": "zebra"}, index=["note"])
    store.put(("d",), "c", {"note": "nothing of the fields"})
    assert {cube.text for cube in space.cubes(kind="item").items} == {"Trains\nsteam", "zebra", "c"}
    assert keys(store.search(("d",), query="zebra", limit=1)) == ["b"]


def test_statements_of_one_namespace_end_none_of_another(store, space):
    for user, town in (("ana", "Porto"), ("ben", "Faro")):
        store.put(("users", user), "home", {"memory": "x"})
        store.put(("users", user), "home", {"memory": f"I live in {town}."}, index=["memory"])
    assert {cube.state for cube in space.cubes(kind="item", state="any").items} == {"active"}


NAMES = st.tuples() | st.sampled_from([("a",), ("a", "b"), ("a", "b", "c"), ("b",), ("b", "a")])
VALUES = st.fixed_dictionaries(
    {"n": st.integers(0, 3)}, optional={"tag": st.sampled_from(["x", "y"]), "deep": st.just({"l": [1, "z"], "s": "q"})}
)
FILTERS = st.sampled_from(
    [None, {}, {"n": 1}, {"n": {"$gte": 1, "$lt": 3}}, {"tag": "x"}, {"tag": {"$ne": "x"}}, {"deep": {"s": "q"}},
     {"deep": {"l": [1, "z"]}}, {"deep": {"l": [1]}}, {"n": {"$eq": 2}, "tag": "y"}, {"tag": None}]
)  # fmt: skip
PATHS = st.sampled_from([("a",), ("*",), ("a", "*"), ("b",), ("*", "c"), ("a", "b", "c", "d")])
OPS = st.one_of(
    st.builds(PutOp, NAMES.filter(bool), st.sampled_from("kl"), VALUES | st.none(), st.none() | st.just(False), st.none()),
    st.builds(GetOp, NAMES, st.sampled_from("klm"), st.booleans()),
    st.builds(SearchOp, NAMES, FILTERS, st.just(100), st.just(0), st.none(), st.booleans()),
    st.builds(
        ListNamespacesOp,
        st.lists(st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), PATHS), max_size=2).map(tuple),
        st.none() | st.integers(1, 3), st.integers(0, 4), st.integers(0, 2),
    ),
)  # fmt: skip


@settings(max_examples=30)
@given(batches=st.lists(st.lists(OPS, max_size=5), max_size=6))
def test_batches_do_what_langgraphs_own_store_does(tmp_path_factory, batches):
    own = InMemoryStore()
    with Mnemos(tmp_path_factory.mktemp("m"), embedder="none") as m:
        store = MnemosStore(m.space("s"))
        for ops in [part for batch in batches for part in parts(batch)]:
            live = {ns for ns, items in own._data.items() if items}
            for name in set(own._data) - live:
                del own._data[name]  # it keeps the names of namespaces that are empty; we do not
            for op, wanted, got in zip(ops, own.batch(ops), store.batch(ops), strict=True):
                assert shown(op, got) == shown(op, wanted), op


def parts(ops):
    """Listings alone: its own reads make names of namespaces, too."""
    return [[op] for op in ops] if any(isinstance(op, ListNamespacesOp) for op in ops) else [ops]


def shown(op, result):
    if isinstance(op, SearchOp):
        return sorted((i.namespace, i.key, repr(i.value)) for i in result)
    return (result.namespace, result.key, result.value) if isinstance(op, GetOp) and result else result


def test_pages_of_a_listing_hold_every_item_once(store):
    for i in range(25):
        store.put(("a",), str(i), {"n": i})
    pages = [keys(store.search(("a",), limit=10, offset=o, filter={"n": {"$gt": 2}})) for o in (0, 10, 20, 30)]
    assert [len(p) for p in pages] == [10, 10, 2, 0]
    assert len(set(sum(pages, []))) == 22
    ranked = [keys(store.search(("a",), query="n", limit=10, offset=o, filter={"n": {"$gt": 2}})) for o in (0, 10, 20)]
    assert sorted(sum(ranked, [])) == sorted(sum(pages, []))


def test_what_is_no_name_or_no_json_is_refused(store):
    for bad in ((), ("a.b",), ("",), ("langgraph",)):
        with pytest.raises(InvalidNamespaceError):
            store.put(bad, "k", {})
    with pytest.raises(InvalidInput, match="JSON"):
        store.put(("a",), "k", {"x": object()})
    store.put(("a",), "k", {"x": 1})
    with pytest.raises(ValueError, match="operator"):
        store.search(("a",), filter={"x": {"$like": 1}})
    store.put(("a",), "", {})
    assert store.get(("a",), "").value == {}


def test_a_time_to_live_ends_and_is_renewed_by_reads(space):
    clock = space.clock
    store = MnemosStore(space, ttl={"default_ttl": 10})
    store.put(("a",), "short", {"x": 1})
    store.put(("a",), "long", {"x": 2}, ttl=None)
    updated = store.get(("a",), "short").updated_at
    for _ in range(3):
        clock.now += timedelta(minutes=8)
        assert store.get(("a",), "short").updated_at == updated
    clock.now += timedelta(minutes=8)
    assert keys(store.search(("a",), refresh_ttl=False, query="x", limit=1, filter={"x": 1})) == ["short"]
    clock.now += timedelta(minutes=8)
    assert store.get(("a",), "short") is None
    assert keys(store.search(("a",))) == ["long"]
    assert (store.sweep(), store.sweep()) == (1, 0)
    store.put(("b",), "k", {"x": 1}, ttl=1)
    clock.now += timedelta(minutes=2)
    assert store.list_namespaces() == [("a",)]
    store.put(("b",), "far", {"x": 1}, ttl=4e9)
    assert store.get(("b",), "far").value == {"x": 1}
    store.put(("b",), "k", {"x": 2}, ttl=1)
    item = store.get(("b",), "k")
    assert item.created_at > START + timedelta(minutes=42)


def test_threads_that_put_the_same_key_all_get_through(store):
    async def run():
        await asyncio.gather(*(store.aput(("a",), "k", {"n": n}) for n in range(8)))
        return await store.aget(("a",), "k"), await store.asearch(("a",)), await store.alist_namespaces()

    item, found, names = asyncio.run(run())
    assert item.value["n"] in range(8)
    assert (len(found), names) == (1, [("a",)])
    assert len(store.versions(("a",), "k")) == 8


def test_a_compiled_graph_remembers_over_threads(store):
    from typing import TypedDict

    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    class State(TypedDict):
        said: str
        answer: str

    def remember(state: State, runtime: Runtime):
        runtime.store.put(("users", "ana"), str(len(state["said"])), {"memory": state["said"]})
        found = runtime.store.search(("users", "ana"), query="Where does Ana work?", limit=1)
        return {"answer": found[0].value["memory"]}

    graph = StateGraph(State).add_node("remember", remember).add_edge(START, "remember").add_edge("remember", END)
    app = graph.compile(checkpointer=InMemorySaver(), store=store)
    app.invoke({"said": "Ana works at the harbour."}, {"configurable": {"thread_id": "1"}})
    out = app.invoke({"said": "It rained all day."}, {"configurable": {"thread_id": "2"}})
    assert out["answer"] == "Ana works at the harbour."
    later = asyncio.run(app.ainvoke({"said": "Nothing new."}, {"configurable": {"thread_id": "3"}}))
    assert later["answer"] == "Ana works at the harbour."


def test_secrets_in_values_are_redacted_unless_the_space_keeps_them(store, space):
    value = {"memory": "the key is AKIAIOSFODNN7EXAMPLE", "n": 1}
    for _ in range(2):
        store.put(("a",), "k", value)
    kept = store.get(("a",), "k").value
    assert "AKIA" not in kept["memory"]
    assert kept["n"] == 1
    space.secrets = "keep"
    store.put(("a",), "k", value)
    assert store.get(("a",), "k").value == value
