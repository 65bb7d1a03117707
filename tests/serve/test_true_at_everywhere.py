"""`true_at` finds the same in Python, on the command line, over REST, MCP and in adapters."""

import asyncio
import json

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.cli import app
from mnemos.serve.client import Client

QUESTION = "Where does Ana live?"
MOMENTS = {"2019-06-01": "Porto", "2021-06-01": "Faro", "2023-06-01": "Braga"}


def fill(space):
    for year, city in (("2022", "Braga"), ("2018", "Porto"), ("2020", "Faro")):  # in no order
        space.add(f"I moved to {city}.", speaker="Ana", at=f"{year}-02-01")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    with Mnemos(tmp_path, embedder="none") as memory:
        fill(memory.space("ana"))
    return tmp_path


def test_in_python_and_over_several_spaces(root):
    with Mnemos(root, embedder="none") as memory:
        fill(memory.space("ben"))
        for moment, city in MOMENTS.items():
            hits = memory.search(QUESTION, spaces=["ana", "ben"], true_at=moment)
            assert {hit.cube.text for hit in hits[:2]} == {f"I moved to {city}."}
            assert len({hit.space for hit in hits[:2]}) == 2


def test_on_the_command_line(root):
    def run(*arguments):
        return json.loads(CliRunner().invoke(app, [*arguments, "--space", "ana", "--json"]).stdout)

    for moment, city in MOMENTS.items():
        assert city in run("search", QUESTION, "--true-at", moment)[0]["cube"]["text"]
        assert city in run("context", QUESTION, "--true-at", moment)["context"]
        assert [fact["value"] for fact in run("facts", "ana", "--true-at", moment)] == [city]
        assert city in run("list", "--true-at", moment)["items"][-1]["text"] or city != "Faro"


def test_over_rest_and_its_client(served):
    with Client(served.url, served.key()) as client:
        space = client.space("then")
        fill(space)
        for moment, city in MOMENTS.items():
            assert city in space.search(QUESTION, true_at=moment)[0].cube.text
            assert city in space.context(QUESTION, true_at=moment)
            assert [fact.value for fact in space.facts("ana", true_at=moment)] == [city]
            assert len(space.cubes(true_at=moment).items) == 1


def test_over_mcp(root):
    pytest.importorskip("mcp.server.mcpserver", reason="needs mnemos-os[mcp]")
    from mcp import Client as McpClient

    from mnemos.serve.mcp import make_server

    async def ask():
        with Mnemos(root, embedder="none") as memory:
            async with McpClient(make_server(memory, "ana")) as client:
                for moment, city in MOMENTS.items():
                    given = {"question": QUESTION, "true_at": moment}
                    found = await client.call_tool("recall", given)
                    assert city in found.structured_content["hits"][0]["text"]
                    assert city in (await client.call_tool("context", given)).content[0].text
                    facts = await client.call_tool("facts", {"subject": "Ana", "true_at": moment})
                    assert [fact["value"] for fact in facts.structured_content["facts"]] == [city]

    asyncio.run(ask())


def test_in_the_langchain_retriever(root):
    pytest.importorskip("langchain_core", reason="needs mnemos-os[langchain]")
    from mnemos.adapters.langchain import MnemosRetriever

    with Mnemos(root, embedder="none") as memory:
        for moment, city in MOMENTS.items():
            found = MnemosRetriever(space=memory.space("ana"), options={"true_at": moment}).invoke(QUESTION)
            assert city in found[0].page_content
