"""Whose words each adapter stores: what an assistant, a tool or a file says is never stored as the user's."""

import asyncio

import pytest

from mnemos import Mnemos
from mnemos.adapters.anthropic_memory import MemoryTool
from mnemos.adapters.base import role_of
from mnemos.adapters.mem0 import Memory


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield memory.space("ana")


def stored(space):
    return [(cube.role, cube.source) for cube in space.cubes(state="any").items]


@pytest.mark.parametrize(
    ("name", "role"),
    [("human", "user"), ("AI", "assistant"), ("model", "assistant"), ("function", "tool"), ("developer", "system"),
     ("narrator", "narrator"), (None, None)],
)  # fmt: skip
def test_a_role_has_one_name(name, role):
    assert role_of(name) == role


def test_a_file_of_the_memory_tool_is_the_assistants_also_after_an_edit(space):
    tool = MemoryTool(space)
    tool.create("/memories/a.md", "I live in Porto.\n")
    tool.str_replace("/memories/a.md", "Porto", "Oslo")
    tool.rename("/memories/a.md", "/memories/b.md")
    assert stored(space) == [("assistant", None)]


def test_a_file_stored_without_a_role_gets_one_with_its_next_edit(space):
    space.add("I live in Porto.", kind="file", metadata={"path": "/memories/a.md"})
    MemoryTool(space).str_replace("/memories/a.md", "Porto", "Oslo")
    assert stored(space) == [("assistant", None)]


def test_mem0_keeps_the_role_of_each_message_and_marks_tools(tmp_path):
    roles = ["user", "assistant", "tool", "function", None]
    with Mnemos(tmp_path, embedder="none") as root:
        memory = Memory(root)
        memory.add([{"role": r, "content": f"I live in {i}."} for i, r in enumerate(roles)], user_id="ana", infer=False)
        tool = ("tool", "tool:mem0")
        assert stored(root.space("mem0:user:ana")) == [("user", None), ("assistant", None), tool, tool, ("user", None)]


def test_items_of_openai_agents_have_a_role_each(space):
    pytest.importorskip("agents")
    from mnemos.adapters.openai_agents import MnemosSession

    items = [
        {"role": "user", "content": "I live in Porto."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I live in Oslo."}]},
        {"role": "developer", "content": "I live in Rome."},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I live in Bonn."}]},
        {"type": "function_call", "call_id": "c", "name": "say", "arguments": '{"a": "I live in Bern."}'},
        {"type": "function_call_output", "call_id": "c", "output": "I live in Faro."},
        {"type": "mcp_call", "id": "m", "name": "n", "arguments": "{}", "server_label": "s", "output": "I live in Nice."},
        {"type": "file_search_call", "id": "f", "queries": [], "status": "completed", "results": [{"text": "I live in Graz."}]},
    ]  # fmt: skip
    asyncio.run(MnemosSession("s", space).add_items(items))
    assert stored(space) == [
        ("user", None), ("assistant", None), ("system", None), ("assistant", None), ("assistant", None),
        ("tool", "tool:function_call_output"), ("tool", "tool:mcp_call"), ("tool", "tool:file_search_call"),
    ]  # fmt: skip


def test_messages_of_llamaindex_have_the_roles_of_mnemos(space):
    pytest.importorskip("llama_index.core")
    from llama_index.core.llms import ChatMessage

    from mnemos.adapters.llamaindex import MnemosMemoryBlock

    roles = ["user", "assistant", "model", "chatbot", "tool", "function", "system", "developer"]
    messages = [ChatMessage(role=role, content=f"I live in {role}.") for role in roles]
    asyncio.run(MnemosMemoryBlock(space=space).aput(messages))
    assert [role for role, _ in stored(space)] == ["user", *["assistant"] * 3, *["tool"] * 2, *["system"] * 2]
    assert [source for _, source in stored(space)][4:6] == ["tool:llamaindex"] * 2


def test_an_item_of_langgraph_is_the_agents(space):
    pytest.importorskip("langgraph")
    from mnemos.adapters.langgraph import MnemosStore

    store = MnemosStore(space)
    for city in ("Porto", "Oslo"):
        store.put(("users", "ana"), "home", {"text": f"I live in {city}."})
    assert stored(space) == [("assistant", None)]
