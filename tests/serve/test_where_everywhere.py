"""The same filter of metadata finds the same cubes in Python, on the command line, over REST, MCP and in adapters."""

import asyncio
import json
import warnings
from datetime import date

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.adapters.mem0 import Memory
from mnemos.cli import app
from mnemos.errors import InvalidInput, MnemosError
from mnemos.serve.client import Client
from tests.serve.apps import App, ListeningApp, is_problem

ROWS = [
    {"rating": 4.0, "tags": ["new"], "place": {"city": "Porto"}, "id64": 2**63 + 1},
    {"rating": "4", "tags": ["old", "new"], "place": {"city": "Faro"}, "id64": 2**63},
    {"rating": True, "tags": "new"},
    {"rating": 5, "day": "2024-05-02", "id64": None},
]
CASES = [
    ({"rating": 4}, [0]), ({"rating": {"$gte": 4}}, [0, 3]), ({"rating": {"$in": [5, True]}}, [2, 3]),
    ({"tags": {"$contains": "new"}}, [0, 1, 2]), ({"place.city": "Faro"}, [1]), ({"place": {"city": "Porto"}}, [0]),
    ({"id64": 2**63 + 1}, [0]), ({"id64": {"$gt": 2**63}}, [0]), ({"day": {"$exists": False}}, [0, 1, 2]),
    ({"$or": [{"rating": 5}, {"place.city": {"$icontains": "port"}}]}, [0, 3]),
    ({"$not": {"tags": {"$contains": "new"}}}, [3]), ({"rating": {"$ne": 4}, "day": {"$not": {"$gt": "2024"}}}, [1, 2]),
]  # fmt: skip
OPEN = {"$not", "$exists", "$ne"}  # cubes without metadata match too: no choice of what to forget
WRONG = [
    ({"rating": {"$like": 4}}, "unknown operator"), ({f"k{i}": 1 for i in range(5_000)}, "more than 256 conditions"),
    ({"$nor": [{"a": 1}]}, "unknown"), ({"rating": {"$in": []}}, "at least one item"),
]  # fmt: skip


def fill(space):
    for i, row in enumerate(ROWS):
        space.add(f"tea number {i}", id=f"c{i}", metadata=row, reconcile=False)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    with Mnemos(tmp_path, embedder="none") as memory:
        fill(memory.space("ana"))
    return tmp_path


def numbers(ids):
    return sorted(int(i[-1]) for i in ids)


def test_in_python(root):
    with Mnemos(root, embedder="none") as memory:
        space = memory.space("ana")
        for where, wanted in CASES:
            assert numbers(h.cube.id for h in space.search("tea", where=where)) == wanted, where
            assert numbers(c.id for c in space.cubes(where=where)) == wanted, where
            if not OPEN & where.keys() and not any(OPEN & v.keys() for v in where.values() if isinstance(v, dict)):
                assert numbers(c.id for c in space.forget_preview(where=where)) == wanted, where
            assert sum(space.context("tea", where=where).count(f"number {n}") for n in range(4)) == len(wanted)
        for where, message in WRONG:
            for verb in (space.cubes, space.forget_preview, lambda space=space, **f: space.search("tea", **f)):
                with pytest.raises(InvalidInput, match=message):
                    verb(where=where)


def test_on_the_command_line(root):
    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--space", "ana", "--json"])

    for where, wanted in CASES:
        found = json.loads(run("search", "tea", "--where", json.dumps(where)).stdout)
        assert numbers(h["cube"]["id"] for h in found) == wanted, where
    both = run("list", "--where", '{"rating": {"$gte": 4}}', "--where", "day=2024-05-02")
    assert numbers(c["id"] for c in json.loads(both.stdout)["items"]) == [3]
    for where, message in [
        *((json.dumps(w), m) for w, m in WRONG if len(w) < 9),
        ("{", "not a JSON object"),
        ("x", "KEY=VALUE"),
    ]:
        refused = run("search", "tea", "--where", where)
        assert refused.exit_code != 0
        assert message in refused.output


def test_over_rest_and_its_client(tmp_path):
    with ListeningApp(tmp_path) as served, Client(served.url, served.key()) as client:
        space = client.space("ana")
        fill(space)
        for where, wanted in CASES:
            assert numbers(h.cube.id for h in space.search("tea", where=where)) == wanted, where
            assert numbers(c.id for c in space.cubes(where=where).items) == wanted, where
        for where, message in WRONG:
            with pytest.raises(InvalidInput, match=message):
                space.search("tea", where=where)
        served.hang_up()


def test_a_filter_that_python_can_write_is_sent_alike_with_every_verb(served):
    with Client(served.url, served.key()) as client:
        space = client.space("dates")
        fill(space)
        verbs = [
            lambda where: space.search("tea", where=where),
            lambda where: space.cubes(where=where).items,
            lambda where: space.inspect.newest(where=where).items,
            lambda where: space.inspect.timeline(where=where).buckets,
        ]
        for verb in verbs:
            assert len(verb({"day": date(2024, 5, 2)})) == 1
            for odd in (object(), float("nan")):
                with pytest.raises(InvalidInput, match="cannot be sent as JSON"):
                    verb({"day": odd})


@pytest.mark.parametrize("where", [w for w, _ in WRONG] + [{"a": {"$gt": [1]}}, {"a": {"$contains": {"$x": 1}}}])
def test_a_wrong_filter_is_a_problem_and_no_fault(tmp_path, where):
    with App(tmp_path) as served:
        client = served.client()
        client.post("/v1/spaces/ana/cubes", json={"content": "tea"})
        assert is_problem(client.post("/v1/spaces/ana/search", json={"query": "tea", "where": where}), 422)
        if len(where) < 9:
            assert is_problem(client.get("/v1/spaces/ana/cubes", params={"where": json.dumps(where)}), 422)
        for text in ("[]", '[["a", 1]]', "{", "5", "[" * 2_000):
            assert is_problem(client.get("/v1/spaces/ana/cubes", params={"where": text}), 422)
        assert client.post("/v1/spaces/ana/forget", json={"where": where}).status_code == 422


def test_over_mcp(root):
    pytest.importorskip("mcp.server.mcpserver", reason="needs mnemos-os[mcp]")
    from mcp import Client as McpClient

    from mnemos.serve.mcp import make_server

    async def ask():
        with Mnemos(root, embedder="none") as memory:
            async with McpClient(make_server(memory, "ana")) as client:
                for where, wanted in CASES:
                    for tool in ("recall", "timeline"):
                        found = await client.call_tool(tool, {"question": "tea", "where": where})
                        hits = found.structured_content["hits" if tool == "recall" else "cubes"]
                        assert numbers(h["id"] for h in hits) == wanted, where
                    block = await client.call_tool("context", {"question": "tea", "where": where})
                    assert block.content[0].text.count("tea number") == len(wanted)
                for where, message in WRONG:
                    refused = await client.call_tool("recall", {"question": "tea", "where": where})
                    assert refused.is_error
                    assert message in refused.content[0].text

    with warnings.catch_warnings():
        asyncio.run(ask())


def test_in_the_mem0_adapter(tmp_path):
    memory = Memory(Mnemos(tmp_path, embedder="none"))
    for i, row in enumerate(ROWS):
        memory.add(f"tea number {i}", user_id="ana", metadata=row, infer=False)

    def found(filters):
        rows = memory.search("tea", filters={"user_id": "ana", **filters}, top_k=50)["results"]
        listed = memory.get_all(filters={"user_id": "ana", **filters}, top_k=50)["results"]
        assert numbers(r["memory"] for r in rows) == numbers(r["memory"] for r in listed)
        return numbers(r["memory"] for r in rows)

    for where, wanted in CASES:
        if where != {"place": {"city": "Porto"}}:  # mem0 reads a dict as operators
            assert found(where) == wanted, where
    for filters, wanted in (
        ({"rating": {"gte": 4}}, [0, 3]), ({"AND": [{"rating": {"gt": "3"}}]}, [1]), ({"id64": None}, [2, 3]),
        ({"NOT": [{"rating": 4}, {"rating": 5}]}, [1, 2]), ({"id64": "*"}, [0, 1]), ({"tags": {"contains": "new"}}, [0, 1, 2]),
    ):  # fmt: skip
        assert found(filters) == wanted, filters
    for where, message in WRONG:
        with pytest.raises(InvalidInput, match=message):
            found(where)


def test_in_the_langgraph_store(tmp_path):
    pytest.importorskip("langgraph.store.base", reason="needs mnemos-os[langgraph]")
    from mnemos.adapters.langgraph import MnemosStore

    with Mnemos(tmp_path, embedder="none") as memory:
        store = MnemosStore(memory.space("ana"))
        for i, row in enumerate(ROWS):
            store.put(("notes",), f"c{i}", {"text": f"tea number {i}", **row})
        for where, wanted in CASES:
            if not any(
                key.startswith("$") or "." in key for key in where
            ):  # LangGraph's filters are fields of the value
                for query in (None, "tea"):
                    assert numbers(i.key for i in store.search(("notes",), query=query, filter=where)) == wanted, where
        assert numbers(i.key for i in store.search(("notes",), filter={"place": {"city": {"$in": ["Faro"]}}})) == [1]
        with pytest.raises(MnemosError, match="unknown operator"):
            store.search(("notes",), filter={"rating": {"$like": 4}})


def test_in_the_langchain_retriever(root):
    pytest.importorskip("langchain_core", reason="needs mnemos-os[langchain]")
    from mnemos.adapters.langchain import MnemosRetriever

    with Mnemos(root, embedder="none") as memory:
        for where, wanted in CASES:
            found = MnemosRetriever(space=memory.space("ana"), options={"where": where}).invoke("tea")
            assert numbers(d.id for d in found) == wanted, where
