"""The MCP server as a process of its own, through the SDK's client: over stdio and over HTTP."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from subprocess import DEVNULL, PIPE

import pytest

pytest.importorskip("mcp.server.mcpserver", reason="needs mnemos-os[mcp]")

import anyio
from mcp import Client, MCPError, StdioServerParameters

from mnemos import Mnemos
from tests.serve.talk import Talk

SERVER = "import typer; from mnemos.cli.mcp import mcp; typer.run(mcp)"
PROBE = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def command(root, *arguments, code=SERVER):
    return [sys.executable, "-c", code, "--root", str(root), "--space", "ana", "--embedder", "none", *arguments]


@contextmanager
def start(root, *arguments):
    with subprocess.Popen(command(root, *arguments), stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


async def test_two_processes_on_one_space_lose_nothing(tmp_path):
    """They write at the same time, and each finds what the other has written."""

    async def write(call, name):
        for i in range(25):
            await call("remember", text=f"The {name} was seen at place {i}.")

    server = StdioServerParameters(command=sys.executable, args=command(tmp_path)[1:])
    async with Client(server) as one, Client(server) as two:
        async with anyio.create_task_group() as both:
            both.start_soon(write, Talk(one), "albatross")
            both.start_soon(write, Talk(two), "badger")
        for call in (Talk(one), Talk(two)):
            assert (await call.read("mnemos://space/ana"))["stats"]["cubes"] == 50
            for name in ("albatross", "badger"):
                assert len((await call("recall", question=name, k=100))["hits"]) == 25
    with Mnemos(tmp_path, embedder="none") as memory:
        assert memory.space("ana").count() == 50
        assert memory.space("ana").doctor().problems == []


@pytest.mark.parametrize("end", ["hangs up", "signal"])
def test_only_the_protocol_stands_on_stdout(tmp_path, end):
    """A client of the older protocol that writes lines by hand, with rubbish between."""
    params = {"name": "update", "arguments": {"id": "x", "text": "y"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params},
    ]
    with start(tmp_path) as server:
        server.stdin.write("rubbish\n" + "".join(json.dumps(m) + "\n" for m in messages))
        server.stdin.flush()
        answers = {}
        while 2 not in answers:
            answer = json.loads(server.stdout.readline())
            answers[answer.get("id")] = answer
        if end == "signal":  # while the agent is silent
            server.send_signal(signal.SIGINT)
            assert server.wait(10) == 130
        rest, problems = server.communicate(timeout=30)
    result = answers[2]["result"]
    assert (result["isError"], "there is no cube 'x'" in result["content"][0]["text"]) == (True, True)
    assert (server.returncode, rest) == (130 if end == "signal" else 0, "")
    assert "Traceback" not in problems


@contextmanager
def over_http(tmp_path, *options):
    """Start a server over HTTP; yield its port and the first key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with start(tmp_path, "--http", str(port), *options) as server:
        key = server.stdout.readline().strip()
        while subprocess.run([sys.executable, "-c", PROBE, str(port)], stderr=DEVNULL).returncode:
            time.sleep(0.1)
        yield port, key


@asynccontextmanager
async def with_key(port, key, mode="auto"):
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
        Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http), mode=mode) as client,
    ):
        yield Talk(client)


async def test_the_same_server_over_http_for_those_with_a_key(tmp_path):
    pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
    from mnemos.serve.keys import KeyStore

    with over_http(tmp_path, "--all-spaces") as (port, key), anyio.fail_after(60):
        async with with_key(port, key) as one, with_key(port, key, "legacy") as other:
            made = await one("remember", text="Over the wire.")
            assert (await other("recall", question="wire"))["hits"][0]["id"] == made["id"]
            await one("remember", text="The team meets on Monday.", space="team")
        keys = KeyStore.under(tmp_path)
        reader = keys.add("reader", spaces=["ana"], rights=["read"])[0]
        for mode in ("auto", "legacy"):
            async with with_key(port, reader, mode) as call:
                assert len((await call("recall", question="wire"))["hits"]) == 1
                await call.refused("lacks the right to write", "remember", text="no")
                await call.refused("lacks the right to write", "update", id=made["id"], text="no")
                await call.refused("lacks the right to write", "task", task="t", do="add", step="no")
                await call.refused("lacks the right to write", "cases", situation="a", plan="no")
                await call.refused("lacks the right to write", "working", name="w")  # it folds
                await call.refused("lacks the right to write", "beliefs", team="b", do="learn", decisions=[])
                assert (await call("working", name="w", do="list"))["items"] == []
                assert (await call("beliefs", team="b"))["beliefs"] == (await call("task", task="t"))["state"] == ""
                await call.refused("there is no space 'team'", "working", name="w", do="list", space="team")
                seen = await call("forget", ids=[made["id"]])
                await call.refused("lacks the right to erase", "forget", preview=False, confirm=seen["confirm"])
                await call.refused("there is no space 'team'", "recall", question="team", space="team")
                assert (await call.read("mnemos://spaces"))["spaces"].keys() == {"ana"}
                with pytest.raises(MCPError, match="there is no space 'team'"):
                    await call.read("mnemos://space/team")
        keys.close()


def test_over_http_nobody_gets_in_without_a_key_or_from_a_page(tmp_path):
    httpx = pytest.importorskip("httpx")
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    with over_http(tmp_path) as (port, key):
        good = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}

        def ask(**headers):
            given = {**good, **{name.replace("_", "-"): value for name, value in headers.items()}}
            sent = {name: value for name, value in given.items() if value is not None}
            return httpx.post(f"http://127.0.0.1:{port}/mcp", json=body, headers=sent).status_code

        assert ask() == 200
        assert ask(Authorization=None) == ask(Authorization="Bearer mnk_aaaaaaaa_" + "x" * 43) == 401
        assert ask(Host="evil.example") == ask(Host="evil.example:80", Origin="http://evil.example:80") == 421
        for origin in ("http://localhost:3000", "http://127.0.0.1:9999", "https://evil.example", "null"):
            assert ask(Origin=origin) == 403
            assert ask(Origin=origin, Authorization=None) == 403
        assert ask(Sec_Fetch_Site="cross-site") == 403
        assert ask(Origin=f"http://127.0.0.1:{port}") == 200
        assert httpx.get(f"http://127.0.0.1:{port}/mcp").status_code == 401
        assert httpx.request("OPTIONS", f"http://127.0.0.1:{port}/mcp").status_code == 401


def test_a_missing_package_and_a_bad_root_are_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    without = command(tmp_path, code="import sys; sys.modules['mcp'] = None; " + SERVER)
    for arguments, message in ((without, "pip install 'mnemos-os[mcp]'"), (command(tmp_path / "file"), "as the root")):
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, stdin=DEVNULL)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr
        assert "Traceback" not in done.stderr
