"""The adapters with a served space, through the client."""

import asyncio

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")


from mnemos.adapters.anthropic_memory import MemoryTool
from mnemos.adapters.mem0 import Memory
from mnemos.serve.client import Client
from tests.serve.apps import ListeningApp


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    served = ListeningApp(tmp_path_factory.mktemp("served"), embedder="hashing")
    with served, Client(served.url, served.key()) as client:
        yield client


def test_mem0(client):
    memory = Memory(client)
    for user in ("ana", "ben"):
        memory.add(f"{user} likes green tea.", user_id=user, agent_id="coach", run_id="r1", metadata={"n": 1})
    [row] = memory.search("tea", user_id="ana", agent_id="coach", run_id="r1", filters={"n": {"gte": 1}})["results"]
    assert memory.get(row["id"])["memory"] == "ana likes green tea."
    memory.update(row["id"], "ana likes coffee.")
    assert [h["event"] for h in memory.history(row["id"])] == ["ADD", "UPDATE"]
    assert len(memory.get_all(agent_id="coach")["results"]) == 2
    memory.delete_all(user_id="ana")
    assert [r["user_id"] for r in memory.get_all(agent_id="coach")["results"]] == ["ben"]
    assert memory.get_all(user_id="nobody") == {"results": []}
    memory.reset()
    assert memory.get_all(agent_id="coach") == {"results": []}


def test_langgraph(client):
    pytest.importorskip("langgraph")
    from mnemos.adapters.langgraph import MnemosStore

    store = MnemosStore(client.space("graph"))
    assert store.get(("a",), "k") is None
    assert store.search(("a",), query="tea") == store.list_namespaces() == []
    store.put(("a", "b"), "k", {"memory": "likes tea"}, ttl=5)
    store.put(("a", "b"), "k", {"memory": "likes green tea"})
    assert store.get(("a", "b"), "k").value == {"memory": "likes green tea"}
    assert len(store.versions(("a", "b"), "k")) == 2
    assert [i.key for i in store.search(("a",), query="green tea", filter={"memory": {"$ne": "x"}})] == ["k"]
    assert store.list_namespaces(suffix=("b",)) == [("a", "b")]
    store.delete(("a", "b"), "k")
    assert store.search(()) == []


def test_openai_agents_session(client):
    pytest.importorskip("agents")
    from mnemos.adapters.openai_agents import MnemosSession

    async def run():
        session = MnemosSession("s1", client.space("agents"))
        items = [
            {"role": "user", "content": "Tea, please."},
            {"type": "function_call_output", "call_id": "1", "output": "ok"},
        ]
        assert await session.get_items() == []
        await session.add_items(items)
        assert await session.get_items() == items
        assert "Tea" in await session.recall("What to drink?")
        assert await session.pop_item() == items[1]
        await session.clear_session()
        assert await session.get_items() == []

    asyncio.run(run())


def test_agent_tools(client):
    pytest.importorskip("pydantic")
    from mnemos.adapters.tools import tools_of

    tools = {tool.name: tool.run for tool in tools_of(client.space("work"), "ben", None)}
    assert tools["recall"](question="What is there?").startswith("error: there is no space")
    assert "price = 80" in tools["task"](task="trip", do="add", step="hotel", values={"price": 80})
    assert client.space("work").task("trip").get("hotel").cube.speaker == "ben"
    tools["cases"](situation="The printer is offline", plan="Restart the spooler", reward=1)
    assert "Restart the spooler" in tools["cases"](situation="A printer is offline")
    tools["working"](name="chat", do="add", text="Find a hotel.", pin=True)
    assert "items: " in tools["working"](name="chat", do="list")
    same = {"source": "filings", "cue": "upgrade", "action": "buy", "reward": 1}
    for action, reward in (("buy", -2), ("sell", 1)):
        row = {"source": "news", "cue": "warning", "action": action, "reward": reward}
        told = tools["beliefs"](team="fund", do="learn", decisions=[row, same])
    assert "sell, not buy" in told


def test_memory_tool(client):
    tool = MemoryTool(client.space("files"))
    path = "/memories/d/a.md"
    for command in (
        {"command": "view", "path": "/memories"}, {"command": "create", "path": path, "file_text": "one\n"},
        {"command": "insert", "path": path, "insert_line": 1, "insert_text": "two"},
        {"command": "str_replace", "path": path, "old_str": "one", "new_str": "1"},
        {"command": "rename", "old_path": "/memories/d", "new_path": "/memories/e"},
    ):  # fmt: skip
        tool.run(command)
    assert tool.run({"command": "view", "path": "/memories/e/a.md"}).endswith("     1\t1\n     2\ttwo\n     3\t")
    tool.run({"command": "delete", "path": "/memories/e"})
    assert tool.result({"id": "t", "input": {"command": "view", "path": "/memories/e"}})["is_error"]


def test_langchain_and_llamaindex(client):
    space = client.space("reading")
    pytest.importorskip("langchain_core")
    from mnemos.adapters.langchain import MnemosRetriever

    assert MnemosRetriever(space=space).invoke("Where does Rita live?") == []
    space.add("Rita lives in Lisbon.")
    assert MnemosRetriever(space=space, k=1).invoke("Where does Rita live?")[0].page_content == "Rita lives in Lisbon."
    pytest.importorskip("llama_index.core")
    from llama_index.core.llms import ChatMessage

    from mnemos.adapters.llamaindex import MnemosMemoryBlock

    fresh = MnemosMemoryBlock(space=client.space("nothing yet"))
    assert asyncio.run(fresh.aget([ChatMessage(role="user", content="Hello?")])) == ""
    block = MnemosMemoryBlock(space=space)
    assert "Lisbon" in asyncio.run(block.aget([ChatMessage(role="user", content="Where does Rita live?")]))


def test_langgraph_checkpoints(client):
    pytest.importorskip("langgraph")
    from langgraph.graph import START, StateGraph

    from mnemos.adapters.langgraph_checkpoints import MnemosSaver

    builder = StateGraph(int)
    builder.add_node("add", lambda n: n + 1)
    builder.add_edge(START, "add")
    saver = MnemosSaver(client.space("threads"))
    graph, config = builder.compile(checkpointer=saver), {"configurable": {"thread_id": "t"}}
    assert saver.get_tuple(config) is None
    assert list(saver.list(None)) == []
    assert graph.invoke(1, config) == 2
    assert [state.values for state in graph.get_state_history(config)] == [2, 1, None]
    saver.prune(["t"])
    assert [state.values for state in graph.get_state_history(config)] == [2]
    saver.delete_thread("t")
    assert saver.get_tuple(config) is None
